#include "proxy/net/loop.hpp"

#include <cstdlib>
#include <string>

#include "proxy/net/epoll_loop.hpp"
#include "proxy/net/uring_loop.hpp"

namespace hyperdrive::proxy::net {

core::Result<std::unique_ptr<Loop>> Loop::create(Backend backend) {
  return backend == Backend::kIoUring ? UringLoop::create() : EpollLoop::create();
}

core::Result<std::unique_ptr<Loop>> Loop::create() {
  const char* variable = std::getenv("HYPERDRIVE_LOOP");
  const std::string wish = variable == nullptr ? "" : variable;
  if (wish == "io_uring") return create(Backend::kIoUring);
  if (wish == "epoll") return create(Backend::kEpoll);
  if (!wish.empty()) {
    return core::fail("HYPERDRIVE_LOOP=" + wish + " names no event loop",
                      "Set it to io_uring or epoll, or leave it unset.");
  }
  auto loop = create(Backend::kIoUring);
  return loop ? std::move(loop) : create(Backend::kEpoll);
}

}  // namespace hyperdrive::proxy::net
