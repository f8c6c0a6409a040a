// A connected byte stream (TCP, optionally TLS) on one Loop, and the handler that owns its meaning.
//
// Ownership: whoever opened the stream holds the unique_ptr; the handler must outlive it or be
// replaced first. Threading: everything here runs on the stream's own loop thread.
//
// Reading: bytes arrive in `on_data`, which says how many it has used up. What it leaves is kept by
// the stream and presented again, in front of newer bytes and contiguous with them, as soon as more
// arrives or `resume_reading()` is called. So a codec never assembles partial messages itself.
// The common case copies nothing: the span points into the ring's provided buffer.
//
// Writing: `write` appends to the stream's out-buffer and never calls back into the handler. All
// streams that were written to are sent at the end of the loop's turn, in one go (io_uring: one
// submission; epoll: one send each). `unsent()` and `on_drained` are for backpressure.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace hyperdrive::proxy::net {

/// Raw bytes on the wire. Never text in the sense of an encoding.
using Bytes = std::string_view;

enum class CloseReason {
  kEof,    ///< the peer ended its side
  kReset,  ///< the connection was reset or another socket error; see Stream::error()
  kTls,    ///< the TLS layer failed
};

class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  /// Returns how many bytes of `data` were used up (0..data.size()). `data` holds all bytes not
  /// used up so far. May write, pause, close, or destroy the stream (return value is then ignored).
  virtual std::size_t on_data(Bytes data) = 0;
  /// The peer has ended its side behind bytes that on_data has left. True: it is to see them once
  /// more, for there is something to be done with them though nothing follows; on_closed comes
  /// when they have been presented.
  virtual bool on_end_ahead() { return false; }
  /// Called once when the peer is gone; no call follows. Unused bytes are dropped. After kEof one
  /// may still write (the peer may have closed only its own side).
  virtual void on_closed(CloseReason reason) = 0;
  /// `unsent()` has fallen to zero after having passed the high-water mark (kHighWater).
  virtual void on_drained() {}
};

class TlsContext;
class Loop;

/// What a handshake agreed on, for people. Empty without TLS.
struct TlsInfo {
  std::string version;  ///< "TLSv1.3"
  std::string cipher;   ///< "TLS_AES_256_GCM_SHA384"
  std::string alpn;     ///< the protocol agreed on; empty: none
  std::string subject;  ///< of the peer's certificate, RFC 2253: "CN=db.example.com"
  std::string issuer;
  std::chrono::system_clock::time_point not_after{};
};

class Stream {
 public:
  /// A source should be paused while its destination has more than this many unsent bytes.
  static constexpr std::size_t kHighWater = 256 * 1024;

  virtual ~Stream() = default;  ///< closes at once; unsent bytes are dropped

  virtual void set_handler(StreamHandler* handler) = 0;
  virtual void write(Bytes bytes) = 0;
  /// Room for `size` bytes at the end of the out-buffer, to be filled in place before the next call
  /// on this stream.
  virtual char* reserve(std::size_t size) = 0;
  virtual std::size_t unsent() const = 0;
  /// When `unsent()` became non-zero and next to nothing (a few kB) has left since; the epoch's
  /// start if nothing is due.
  virtual std::chrono::steady_clock::time_point stalled_since() const = 0;

  /// After pause_reading() returns, on_data is not called until resume_reading(). Cheap: the socket
  /// is disarmed only if data keeps coming. on_closed comes promptly even while paused, but an
  /// end-of-file behind bytes not yet read waits for them, also until those that resume_reading()
  /// has promised were presented. Without a handler a stream is paused.
  virtual void pause_reading() = 0;
  /// Presents unused bytes again, later in this turn. From within on_data it does so only if that
  /// call used some bytes or set another handler.
  virtual void resume_reading() = 0;
  /// Unused bytes kept from earlier on_data calls.
  virtual std::size_t unread() const = 0;

  /// Sends what is unsent (and TLS's close_notify), then shuts the sending side; the handler is not
  /// called any more. The stream stays owned by the caller until it destroys it, or hands it to
  /// Loop::close_later.
  virtual void finish() = 0;

  virtual int fd() const = 0;
  virtual Loop& loop() const = 0;
  virtual std::string error() const = 0;  ///< words for the last failure, for people
  virtual bool is_tls() const = 0;
  /// The server certificate's tls-server-end-point binding (RFC 5929), empty without TLS.
  virtual std::string tls_server_end_point() const = 0;
  virtual TlsInfo tls_info() const = 0;
};

}  // namespace hyperdrive::proxy::net
