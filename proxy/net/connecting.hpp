// One attempt to reach an origin: look the name up, try its addresses one after the other.
//
// The look-up runs on a thread of its own because getaddrinfo blocks; the thread shares nothing but
// a Lookup with the loop, so destroying the attempt never waits for DNS.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proxy/net/loop_core.hpp"

namespace hyperdrive::proxy::net {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  std::string text() const;  ///< "127.0.0.1:5432", "[::1]:5432"
};

/// What the look-up thread and the loop share.
struct Lookup;

class Connecting final : public Loop::Pending {
 public:
  Connecting(LoopCore& loop, const std::string& host, std::uint16_t port, Milliseconds timeout,
             std::function<void(Loop::ConnectResult)> done);
  Connecting(const Connecting&) = delete;
  Connecting& operator=(const Connecting&) = delete;
  ~Connecting() override;

 private:
  void start();
  void looked_up();
  void try_next();
  void on_writable();
  void on_timeout();
  void attempt_failed(int error_number);
  void abandon_socket();
  void fail(ConnectError::Kind kind, std::string message);

  LoopCore& loop_;
  std::string host_;
  std::uint16_t port_;
  TimePoint deadline_;
  std::function<void(Loop::ConnectResult)> done_;
  std::unique_ptr<Timer> timer_;
  std::shared_ptr<Lookup> lookup_;
  std::vector<Address> addresses_;
  std::size_t next_ = 0;
  int fd_ = -1;
  std::unique_ptr<Watch> watch_;
  std::string failures_;
  int last_error_ = 0;
  bool started_ = false;
};

}  // namespace hyperdrive::proxy::net
