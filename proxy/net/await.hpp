// What a Task can wait for: a connection, TLS, time, bytes. See task.hpp.
//
// Loop thread only. Destroying a waiting coroutine withdraws the wait.
#pragma once

#include <coroutine>
#include <memory>
#include <string>
#include <utility>

#include "proxy/net/loop.hpp"
#include "proxy/net/stream.hpp"
#include "proxy/net/tls.hpp"

namespace hyperdrive::proxy::net {

/// `co_await Connect(loop, host, port, timeout)` gives a Loop::ConnectResult.
class Connect {
 public:
  Connect(Loop& loop, std::string host, std::uint16_t port, Milliseconds timeout)
      : loop_(loop), host_(std::move(host)), port_(port), timeout_(timeout) {}
  Connect(const Connect&) = delete;
  Connect& operator=(const Connect&) = delete;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiting);
  Loop::ConnectResult await_resume() { return std::move(result_); }

 private:
  Loop& loop_;
  std::string host_;
  std::uint16_t port_;
  Milliseconds timeout_;
  Loop::ConnectResult result_;
  std::unique_ptr<Loop::Pending> pending_;
};

/// `co_await Sleep(loop, 50ms)`.
class Sleep {
 public:
  Sleep(Loop& loop, Milliseconds duration) : loop_(loop), duration_(duration) {}
  Sleep(const Sleep&) = delete;
  Sleep& operator=(const Sleep&) = delete;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiting);
  void await_resume() const noexcept {}

 private:
  Loop& loop_;
  Milliseconds duration_;
  std::unique_ptr<Timer> timer_;
};

/// `co_await StartTls(stream, context, host, alpn)` gives why it failed, or an empty string.
class StartTls {
 public:
  StartTls(Stream& stream, std::shared_ptr<TlsContext> context, std::string host, std::string alpn)
      : stream_(stream),
        context_(std::move(context)),
        host_(std::move(host)),
        alpn_(std::move(alpn)) {}
  StartTls(const StartTls&) = delete;
  StartTls& operator=(const StartTls&) = delete;
  ~StartTls();

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiting);
  std::string await_resume() { return std::move(error_); }

 private:
  Stream& stream_;
  std::shared_ptr<TlsContext> context_;
  std::string host_;
  std::string alpn_;
  std::string error_;
  std::shared_ptr<StartTls*> self_;  // cleared when this goes; the handshake may outlive it
};

/// Why a read gave no bytes.
struct ReadError {
  enum class Kind { kClosed, kTimeout } kind = Kind::kClosed;
  CloseReason reason = CloseReason::kEof;  ///< with kClosed
};
using ReadResult = tl::expected<Bytes, ReadError>;

/// Reads from a Stream in a coroutine; it is the stream's handler while it lives.
///
/// A view it gives is valid until the coroutine waits again; `consume` says how much of it has been
/// used up. What is not consumed is seen again, also by the handler that takes over afterwards.
/// The stream must outlive the reader or be destroyed by the same coroutine.
class StreamReader final : public StreamHandler {
  class Wait;
  template <class Enough>
  class Until;
  struct AtLeast;

 public:
  explicit StreamReader(Stream& stream);
  StreamReader(const StreamReader&) = delete;
  StreamReader& operator=(const StreamReader&) = delete;
  ~StreamReader() override;

  /// All bytes there are as soon as there are at least `size`: `co_await reader.at_least(5)`.
  Until<AtLeast> at_least(std::size_t size);

  /// All bytes there are as soon as `enough(bytes)`; it is asked once for each arrival.
  template <class Enough>
  Until<Enough> until(Enough enough);

  /// The next `size` bytes of what was given last have been used up.
  void consume(std::size_t size) { used_ += size; }

  /// From now on, and after each call anew: a wait that is not over in this time fails (kTimeout).
  void expire_after(Milliseconds time);

  /// Gives the stream to another handler, which sees what was not consumed.
  void hand_over(StreamHandler* handler);

 private:
  class Wait {
   public:
    explicit Wait(StreamReader& reader) : reader_(reader) {}
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    ~Wait() {
      if (reader_.wait_ == this) reader_.wait_ = nullptr;
    }
    virtual bool enough(Bytes bytes) = 0;

    bool await_ready() {
      return reader_.over() || (reader_.call_ != nullptr && enough(reader_.left()));
    }
    void await_suspend(std::coroutine_handle<> awaiting) { reader_.wait_for(*this, awaiting); }
    ReadResult await_resume() const { return reader_.result(); }

   private:
    StreamReader& reader_;
  };

  /// A running on_data; the reader may be destroyed meanwhile.
  struct Call {
    bool alive = true;
    std::size_t used = 0;
  };

  std::size_t on_data(Bytes data) override;
  void on_closed(CloseReason reason) override;
  bool over() const { return closed_ || expired_; }
  Bytes left() const { return data_.substr(used_); }
  void wait_for(Wait& wait, std::coroutine_handle<> awaiting);
  ReadResult result() const;
  void resume();

  Stream* stream_;
  Wait* wait_ = nullptr;
  std::coroutine_handle<> awaiting_;
  std::unique_ptr<Timer> timer_;
  Call* call_ = nullptr;  // while within on_data: data_ is valid
  Bytes data_;
  std::size_t used_ = 0;
  CloseReason reason_ = CloseReason::kEof;
  bool closed_ = false;
  bool expired_ = false;
};

template <class Enough>
class StreamReader::Until final : public Wait {
 public:
  Until(StreamReader& reader, Enough test) : Wait(reader), test_(std::move(test)) {}
  bool enough(Bytes bytes) override { return test_(bytes); }

 private:
  Enough test_;
};

struct StreamReader::AtLeast {
  std::size_t size;
  bool operator()(Bytes bytes) const { return bytes.size() >= size; }
};

inline StreamReader::Until<StreamReader::AtLeast> StreamReader::at_least(std::size_t size) {
  return until(AtLeast{size});
}

template <class Enough>
StreamReader::Until<Enough> StreamReader::until(Enough enough) {
  return Until<Enough>(*this, std::move(enough));
}

}  // namespace hyperdrive::proxy::net
