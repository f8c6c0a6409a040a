// What the benchmark's programs share: one loop on one loopback port, told on standard output.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <unordered_map>
#include <utility>

#include "proxy/net/loop.hpp"
#include "proxy/net/sockets.hpp"

namespace hyperdrive::bench {

inline std::unique_ptr<proxy::net::Loop> make_loop() {
  auto loop = proxy::net::Loop::create();
  if (loop) return std::move(*loop);
  std::fprintf(stderr, "%s\n", loop.error().message.c_str());
  std::exit(1);
}

/// Listens on a port of the kernel's choice and prints it.
inline std::unique_ptr<proxy::net::Listener> listen_and_tell(
    proxy::net::Loop& loop, std::function<void(std::unique_ptr<proxy::net::Stream>)> on_accept) {
  const auto fd = proxy::net::open_listener("127.0.0.1", 0);
  if (!fd) {
    std::fprintf(stderr, "%s\n", fd.error().message.c_str());
    std::exit(1);
  }
  std::printf("%d\n", proxy::net::listening_port(*fd).value());
  std::fflush(stdout);
  return loop.listen(*fd, std::move(on_accept));
}

/// A `Session(stream, on_end)` for everybody who connects, for ever.
template <typename Session>
void serve() {
  const auto loop = make_loop();
  std::unordered_map<int, std::unique_ptr<Session>> sessions;
  int next = 0;
  const auto listener = listen_and_tell(*loop, [&](std::unique_ptr<proxy::net::Stream> stream) {
    const int id = next++;
    sessions[id] =
        std::make_unique<Session>(std::move(stream), [&sessions, id] { sessions.erase(id); });
  });
  loop->run();
}

}  // namespace hyperdrive::bench
