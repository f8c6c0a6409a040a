// Common ground of the network tests: a loop of each backend, a plain blocking peer, and waiting
// for a condition with a deadline.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "proxy/net/loop.hpp"
#include "proxy/net/sockets.hpp"

namespace hyperdrive::proxy::net::test {

using namespace std::chrono_literals;

inline std::unique_ptr<Loop> make_loop(Loop::Backend backend) {
  auto loop = Loop::create(backend);
  INFO((loop ? "" : loop.error().message));
  REQUIRE(loop);
  return std::move(*loop);
}

/// For GENERATE(from_range(kBackends)): every test of a loop runs against each.
inline const std::vector<Loop::Backend> kBackends = {Loop::Backend::kEpoll,
                                                     Loop::Backend::kIoUring};

/// Runs the loop until `condition` holds; fails the test after `patience`.
inline void run_until(Loop& loop, const std::function<bool()>& condition,
                      std::chrono::milliseconds patience = 10s) {
  bool late = false;
  auto deadline = loop.timer([&] {
    late = true;
    loop.stop();
  });
  deadline->arm(patience);
  std::function<void()> check = [&] {
    if (condition()) loop.stop();
  };
  std::unique_ptr<Timer> tick;
  tick = loop.timer([&] {
    check();
    tick->arm(1ms);
  });
  tick->arm(0ms);
  loop.run();
  REQUIRE_FALSE(late);
}

/// A blocking socket of a well-known kind on the other side.
class Peer {
 public:
  explicit Peer(int fd) : fd_(fd) {
    const timeval limit{10, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  Peer(Peer&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Peer& operator=(Peer&&) = delete;
  ~Peer() { close(); }

  static Peer connect(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // No assertion: tests connect from threads of their own, Catch knows only its own.
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error(std::string("cannot connect: ") + std::strerror(errno));
    }
    return Peer(fd);
  }

  int fd() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void reset() {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const auto size = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(size));
    }
  }
  /// Reads until `size` bytes, end-of-file or 10 s.
  std::string read(std::size_t size) const {
    std::string bytes(size, '\0');
    std::size_t have = 0;
    while (have < size) {
      const auto got = ::recv(fd_, bytes.data() + have, size - have, 0);
      if (got < 0 && errno == EINTR) continue;  // the kernel tidying up a ring of ours
      if (got <= 0) break;
      have += static_cast<std::size_t>(got);
    }
    bytes.resize(have);
    return bytes;
  }

 private:
  int fd_;
};

/// A handler that can be told what to do; by default it collects everything.
class Recorder : public StreamHandler {
 public:
  std::function<std::size_t(Bytes)> data = [this](Bytes bytes) {
    received += bytes;
    return bytes.size();
  };
  std::function<void(CloseReason)> closed;
  std::string received;
  int closes = 0;
  int drains = 0;
  CloseReason reason{};

  std::size_t on_data(Bytes bytes) override { return data(bytes); }
  void on_closed(CloseReason why) override {
    ++closes;
    reason = why;
    if (closed) closed(why);
  }
  void on_drained() override { ++drains; }
};

/// A listening loop with the connection of one peer.
struct Pair {
  explicit Pair(Loop& loop, StreamHandler* handler = nullptr)
      : listening(open_listener("127.0.0.1", 0).value()),
        port(listening_port(listening).value()),
        listener(loop.listen(listening,
                             [this, handler](std::unique_ptr<Stream> accepted) {
                               stream = std::move(accepted);
                               if (handler != nullptr) stream->set_handler(handler);
                             })),
        peer(Peer::connect(port)) {
    run_until(loop, [this] { return stream != nullptr; });
  }
  int listening;
  std::uint16_t port;
  std::unique_ptr<Stream> stream;
  std::unique_ptr<Listener> listener;
  Peer peer;
};

}  // namespace hyperdrive::proxy::net::test
