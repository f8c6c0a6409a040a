// One connection to an origin as a coroutine sees it: connect, one byte, TLS, one message after the
// other, each an await, all before one deadline.
//
// Only what was asked for is taken from the stream: behind SSLRequest's answer nothing is read in
// plain, and behind the last message asked for everything stays for the next handler.
// A wait is always resumed from the loop's turn, never from within a stream's callback, so the
// coroutine may do anything with the stream, its destruction included.
#pragma once

#include <coroutine>
#include <memory>
#include <optional>
#include <string>

#include "proxy/net/loop.hpp"
#include "proxy/net/tls.hpp"
#include "proxy/wire/postgres/header.hpp"

namespace hyperdrive::proxy::session::postgres {

class Dialogue final : public net::StreamHandler {
 public:
  /// Login messages have some hundred bytes; a longer one is not a login's.
  static constexpr std::uint32_t kMaxMessage = wire::postgres::kMaxAuthMessage;

  enum class Failure { kNone, kTimeout, kEof, kReset, kTls, kMalformed };

  struct Message {
    wire::postgres::Header header;
    std::string body;
  };

  Dialogue(net::Loop& loop, net::TimePoint deadline);
  /// Goes on with a stream that is connected already.
  Dialogue(net::Loop& loop, net::TimePoint deadline, std::unique_ptr<net::Stream> stream);
  Dialogue(const Dialogue&) = delete;
  Dialogue& operator=(const Dialogue&) = delete;
  ~Dialogue() override;

  template <class T>
  struct [[nodiscard]] Wait {
    Dialogue& dialogue;
    T Dialogue::*slot;
    bool await_ready() const noexcept { return dialogue.failure_ != Failure::kNone; }
    void await_suspend(std::coroutine_handle<> handle) { dialogue.suspend(handle); }
    T await_resume() { return std::move(dialogue.*slot); }
  };

  /// Nothing: connected. The error's kind decides Cloudflare's code.
  Wait<std::optional<net::ConnectError>> connect(const std::string& host, std::uint16_t port);
  /// Empty: the stream is TLS now; else why not.
  Wait<std::string> start_tls(std::shared_ptr<net::TlsContext> context, const std::string& host);
  /// Nothing: see failure().
  Wait<std::optional<char>> byte();
  Wait<std::optional<Message>> message();

  void write(net::Bytes bytes) { stream_->write(bytes); }
  net::Stream& stream() { return *stream_; }
  /// Without a handler, and so paused.
  std::unique_ptr<net::Stream> take_stream();

  Failure failure() const { return failure_; }
  const std::string& failure_words() const { return failure_words_; }

 private:
  void adopt(std::unique_ptr<net::Stream> stream);
  enum class Want { kNothing, kConnection, kTls, kByte, kMessage };

  std::size_t on_data(net::Bytes data) override;
  void on_closed(net::CloseReason reason) override;
  std::size_t take_message(net::Bytes data);
  void suspend(std::coroutine_handle<> handle);
  void fail(Failure failure, std::string words);
  void wake();

  net::Loop& loop_;
  const net::TimePoint deadline_;
  std::unique_ptr<net::Timer> timer_;
  std::unique_ptr<net::Loop::Pending> pending_;
  std::unique_ptr<net::Stream> stream_;
  Want want_ = Want::kNothing;
  Failure failure_ = Failure::kNone;
  std::string failure_words_;
  std::optional<net::ConnectError> connect_error_;
  std::string tls_error_;
  std::optional<char> byte_;
  std::optional<Message> message_;
  std::coroutine_handle<> waiting_;
  bool waking_ = false;
  std::shared_ptr<Dialogue*> alive_;  // for deferred wake-ups and callbacks
};

}  // namespace hyperdrive::proxy::session::postgres
