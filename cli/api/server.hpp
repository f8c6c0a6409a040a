// A small HTTP server on the loopback addresses (Boost.Beast, one thread) that hands whole requests
// to a function. Bounded: header 16 KiB, body 1 MiB, 30 s for a request, 256 connections.
#pragma once

#include <cstdint>
#include <functional>

#include "cli/api/service.hpp"
#include "core/base/error.hpp"

namespace hyperdrive::cli::api {

using Handler = std::function<Answer(const Request&)>;

/// Serves until SIGINT or SIGTERM and returns the signal's number. `ready` is called with the port
/// once connections are accepted; `port` 0 chooses one.
core::Result<int> serve(std::uint16_t port, const Handler& handler,
                        const std::function<void(std::uint16_t port)>& ready);

}  // namespace hyperdrive::cli::api
