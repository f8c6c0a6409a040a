// What the pool knows of a connection to the origin: nothing of its protocol.
//
// Exactly one owner at a time: the pool while it is idle, whoever leased it otherwise. It belongs
// to one worker's loop and is touched on that worker's thread only, except between detach() and
// attach(), when it belongs to none.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace hyperdrive::proxy::pool {

class OriginConnection {
 public:
  virtual ~OriginConnection() = default;  ///< closes at once

  /// Nothing is owed in either direction, no transaction is open, the peer is there.
  virtual bool is_reusable() const = 0;
  /// Enters the idle list: from now on any byte from the peer makes it call Pool::lost(). This and
  /// unpark() are called with the pool's mutex held, and only take note of it.
  virtual void park() = 0;
  /// Leaves the idle list.
  virtual void unpark() = 0;
  /// Takes it off its loop, which may take a moment; `alive` is false if it died meanwhile. `done`
  /// runs on the old worker's thread; the caller keeps the connection alive until then.
  virtual void detach(std::function<void(bool alive)> done) = 0;
  /// Puts it on the loop of `worker`, on that worker's thread.
  virtual void attach(std::size_t worker) = 0;
  /// Says goodbye as the protocol wants it, then closes. `closed`: once the origin has, too, or has
  /// had some time for it.
  virtual void retire(std::unique_ptr<OriginConnection> self, std::function<void()> closed) = 0;

 private:
  friend class Pool;
  std::size_t worker_ = 0;
  std::weak_ptr<const void> claim_;  // of the waiter whose own it is; expired: nobody's
  std::uint64_t generation_ = 0;
  std::chrono::steady_clock::time_point expires_{};
  std::chrono::steady_clock::time_point idle_until_{};
};

}  // namespace hyperdrive::proxy::pool
