// One event loop per worker thread; two backends (io_uring, epoll) behind this interface.
//
// `Loop::create` prefers io_uring and falls back to epoll where the kernel or a seccomp filter
// refuses it; HYPERDRIVE_LOOP=io_uring|epoll forces one (docs/decisions/002-event-loop.md).
// All members are for the loop's own thread, except post() and stop(); before run() the thread that
// created the loop may set it up. Streams and timers should go before their loop does.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "proxy/net/stream.hpp"

namespace hyperdrive::proxy::net {

using TimePoint = std::chrono::steady_clock::time_point;
using Milliseconds = std::chrono::milliseconds;

/// A one-shot timer; destroying it disarms it. Accurate to a few milliseconds, O(1) to arm.
class Timer {
 public:
  virtual ~Timer() = default;
  virtual void arm(Milliseconds after) = 0;  ///< re-arms if armed
  virtual void disarm() = 0;
  virtual bool armed() const = 0;
};

/// An accepting socket; destroying it stops accepting (the descriptor is closed).
class Listener {
 public:
  virtual ~Listener() = default;
  virtual int fd() const = 0;
};

/// Why connect failed: the class of the failure decides Cloudflare's code (2008, 2010, 2011).
struct ConnectError {
  enum class Kind { kResolve, kRefused, kUnreachable, kTimeout } kind;
  std::string message;
};

class Loop {
 public:
  enum class Backend { kIoUring, kEpoll };

  static core::Result<std::unique_ptr<Loop>> create();
  static core::Result<std::unique_ptr<Loop>> create(Backend backend);  ///< no fallback
  virtual ~Loop() = default;

  virtual Backend backend() const = 0;
  virtual void run() = 0;                             ///< until stop()
  virtual void stop() = 0;                            ///< any thread
  virtual void post(std::function<void()> task) = 0;  ///< any thread; runs on this loop, in order
  /// Runs at the end of this turn, before the sends go out. Loop thread only.
  virtual void defer(std::function<void()> task) = 0;
  virtual TimePoint now() const = 0;  ///< read once per turn

  virtual std::unique_ptr<Timer> timer(std::function<void()> on_fire) = 0;

  /// Takes over a listening descriptor. `on_accept` gets each connection with TCP_NODELAY set.
  virtual std::unique_ptr<Listener> listen(
      int fd, std::function<void(std::unique_ptr<Stream>)> on_accept) = 0;

  /// Takes over a connected, non-blocking socket.
  virtual std::unique_ptr<Stream> adopt(int fd) = 0;

  /// Resolves (on a thread of its own) and connects, trying each address in turn within `timeout`.
  /// The callback runs on this loop exactly once, unless the returned handle is destroyed first.
  class Pending {
   public:
    virtual ~Pending() = default;
  };
  using ConnectResult = tl::expected<std::unique_ptr<Stream>, ConnectError>;
  virtual std::unique_ptr<Pending> connect(const std::string& host, std::uint16_t port,
                                           Milliseconds timeout,
                                           std::function<void(ConnectResult)> done) = 0;

  /// Finishes the stream and keeps it until its bytes are out and the peer has ended its side too
  /// (a close before that could reset the connection and lose the last bytes), at most `patience`.
  /// `closed` is called once after that, or at once if nothing is left to wait for.
  virtual void close_later(std::unique_ptr<Stream> stream, Milliseconds patience,
                           std::function<void()> closed = {}) = 0;
  /// Whether bytes of such streams have not reached their peers' hosts yet: to stop the loop now
  /// would lose them.
  virtual bool owes_bytes() const = 0;

  // --- moving an idle stream between loops ------------------------------------------------------
  /// Disarms the stream's receive and, once the kernel has confirmed, hands it to `done` on this
  /// loop: the stream then belongs to no loop and may be passed to another's attach(). If bytes or
  /// end-of-file arrived meanwhile, `done` gets nullptr and the stream is gone.
  virtual void detach(std::unique_ptr<Stream> stream,
                      std::function<void(std::unique_ptr<Stream>)> done) = 0;
  /// Arms a detached stream here.
  virtual void attach(Stream& stream) = 0;
};

}  // namespace hyperdrive::proxy::net
