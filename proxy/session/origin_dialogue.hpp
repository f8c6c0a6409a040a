// One connection to an origin as a coroutine sees it: connect, one byte, TLS, one message after the
// other, each an await, all before one deadline. What a message is, the protocol's own dialogue
// knows (postgres/dialogue.hpp, mysql/dialogue.hpp).
//
// Only what was asked for is taken from the stream: behind a TLS request nothing is read in plain,
// and behind the last message asked for everything stays for the next handler. Loop thread only.
// A wait is always resumed from the loop's turn, never from within a stream's callback, so the
// coroutine may do anything with the stream, its destruction included.
#pragma once

#include <coroutine>
#include <memory>
#include <optional>
#include <string>

#include "proxy/net/loop.hpp"
#include "proxy/net/tls.hpp"

namespace hyperdrive::proxy::session {

class OriginDialogue : public net::StreamHandler {
 public:
  enum class Failure { kNone, kTimeout, kEof, kReset, kTls, kMalformed };

  OriginDialogue(net::Loop& loop, net::TimePoint deadline);
  /// Goes on with a stream that is connected already.
  OriginDialogue(net::Loop& loop, net::TimePoint deadline, std::unique_ptr<net::Stream> stream);
  OriginDialogue(const OriginDialogue&) = delete;
  OriginDialogue& operator=(const OriginDialogue&) = delete;
  ~OriginDialogue() override;

  template <class T>
  struct [[nodiscard]] Wait {
    OriginDialogue& dialogue;
    T* slot;
    bool await_ready() const noexcept { return dialogue.failure_ != Failure::kNone; }
    void await_suspend(std::coroutine_handle<> handle) { dialogue.suspend(handle); }
    T await_resume() { return std::move(*slot); }
  };

  /// Nothing: connected. The error's kind decides Cloudflare's code.
  Wait<std::optional<net::ConnectError>> connect(const std::string& host, std::uint16_t port);
  /// Empty: the stream is TLS now; else why not.
  Wait<std::string> start_tls(std::shared_ptr<net::TlsContext> context, const std::string& host);
  /// Nothing: see failure().
  Wait<std::optional<char>> byte();

  void write(net::Bytes bytes) { stream_->write(bytes); }
  net::Stream& stream() { return *stream_; }
  /// Without a handler, and so paused.
  std::unique_ptr<net::Stream> take_stream();

  Failure failure() const { return failure_; }
  const std::string& failure_words() const { return failure_words_; }

 protected:
  /// Goes on reading until take_message() has said that the message asked for is there.
  template <class T>
  Wait<std::optional<T>> want_message(std::optional<T>& slot) {
    slot.reset();
    if (failure_ == Failure::kNone) {
      want_ = Want::kMessage;
      stream_->resume_reading();
    }
    return {*this, &slot};
  }
  /// Keeps the first message of `data` where want_message() was told to, and gives its size; 0: it
  /// is not whole yet. Nothing: it is no message of the protocol.
  virtual std::optional<std::size_t> take_message(net::Bytes data) = 0;

 private:
  void adopt(std::unique_ptr<net::Stream> stream);
  enum class Want { kNothing, kConnection, kTls, kByte, kMessage };

  std::size_t on_data(net::Bytes data) override;
  void on_closed(net::CloseReason reason) override;
  void satisfied();
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
  std::coroutine_handle<> waiting_;
  bool waking_ = false;
  std::shared_ptr<OriginDialogue*> alive_;  // for deferred wake-ups and callbacks
};

}  // namespace hyperdrive::proxy::session
