// A question that the proxy asks by itself, through a Client like any other: it waits in the same
// queue for a connection, under the same limits, with the settings and the role of the client in
// whose place it asks. Its stream has no socket behind it: it holds one group of messages, and
// tells when ReadyForQuery has been written to it.
//
// Owned by its Client; belongs to the worker's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "proxy/net/loop.hpp"
#include "proxy/net/stream.hpp"

namespace hyperdrive::proxy::session::postgres {

class OwnQuery final : public net::Stream {
 public:
  /// `over`: called once, later in the turn in which the answer was complete.
  OwnQuery(net::Loop& loop, std::string group, std::function<void()> over)
      : loop_(loop), group_(std::move(group)), over_(std::move(over)) {}
  ~OwnQuery() override { *self_ = nullptr; }

  void set_handler(net::StreamHandler* handler) override { handler_ = handler; }
  void write(net::Bytes bytes) override;
  char* reserve(std::size_t size) override;
  std::size_t unsent() const override { return 0; }
  std::chrono::steady_clock::time_point stalled_since() const override { return {}; }
  void pause_reading() override { paused_ = true; }
  void resume_reading() override;
  std::size_t unread() const override { return group_.size(); }
  void finish() override {}
  int fd() const override { return -1; }
  net::Loop& loop() const override { return loop_; }
  std::string error() const override { return {}; }
  bool is_tls() const override { return false; }
  std::string tls_server_end_point() const override { return {}; }
  net::TlsInfo tls_info() const override { return {}; }

 private:
  void present();

  net::Loop& loop_;
  std::string group_;
  std::function<void()> over_;
  std::string reserved_;
  net::StreamHandler* handler_ = nullptr;
  bool paused_ = true;
  bool presenting_ = false;
  std::shared_ptr<OwnQuery*> self_ = std::make_shared<OwnQuery*>(this);
};

}  // namespace hyperdrive::proxy::session::postgres
