// A stand-in for hyperdrive-proxy that keeps its side of the process contract (start, readiness,
// lock, admin socket, hand-over, SIGTERM) and nothing else. The test program becomes it when it is
// run with
// `--config-fd`; tests name it in HYPERDRIVE_PROXY. The config's name chooses a way to misbehave:
// `dies`, `silent`, `refuses`, `port-taken`, `slow`, `drains` (takes a while to end); `--verify`
// prints a report of what it was given.
#pragma once

#include <string>

namespace hyperdrive::core {

/// Path of the program that acts as the proxy.
std::string fake_proxy_program();

}  // namespace hyperdrive::core
