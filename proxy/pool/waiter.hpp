// Those who want a connection to the origin, and what they are told if none comes.
//
// A Waiter belongs to one worker's thread; while it stands in a queue its links are the pool's,
// under the pool's mutex.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "core/base/error.hpp"
#include "proxy/pool/origin_connection.hpp"

namespace hyperdrive::proxy::pool {

/// Why no connection came. `origin_error`: an opaque body in the origin's protocol (its own
/// ErrorResponse), empty when the proxy has to find the words.
struct Refusal {
  enum class Why {
    kWaitTimeout,  ///< no slot came free in time
    kUnreachable,  ///< not connected at all
    kRefused,      ///< the origin answered and said no
    kClosing,      ///< the proxy is going down
  } why = Why::kUnreachable;
  core::Error error;
  std::string origin_error;
  std::chrono::system_clock::time_point at{};
  /// The origin may be back any moment (restarting, connection refused): worth a few more tries.
  bool transient = false;
  /// It has as many connections as it takes.
  bool full = false;
};

class WaitQueue;

/// Somebody who wants a connection. Embedded in the session: waiting allocates nothing.
class Waiter {
 public:
  explicit Waiter(std::size_t worker) : worker_(worker) {}
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  virtual ~Waiter() = default;  ///< must not be waiting

  /// On the waiter's worker, exactly one of the two for each acquire() that returned nothing.
  virtual void granted(std::unique_ptr<OriginConnection> connection) = 0;
  virtual void refused(const Refusal& refusal) = 0;
  /// Instead of both, after acquire_returning(): what it waited for has not come back in time.
  virtual void stayed_away() {}

  /// Of several idle connections one that suits is taken; there may be none.
  virtual bool suits(const OriginConnection&) const { return true; }
  /// Whether what it left on this connection is not to be had on others.
  virtual bool misses(const OriginConnection&) const { return false; }

  bool waiting() const { return waiting_; }
  std::chrono::steady_clock::time_point since() const { return since_; }

 private:
  friend class Pool;
  friend class WaitQueue;
  const std::size_t worker_;
  std::shared_ptr<const void> claim_;
  bool waiting_ = false;        // its worker's thread only
  WaitQueue* queue_ = nullptr;  // under the pool's mutex, like all that follows
  Waiter* previous_ = nullptr;
  Waiter* next_ = nullptr;
  std::chrono::steady_clock::time_point since_{};
};

/// First in, first out; anyone may leave from the middle.
class WaitQueue {
 public:
  bool empty() const { return head_ == nullptr; }
  std::size_t size() const { return size_; }
  Waiter* oldest() const { return head_; }
  /// The oldest of whom `wanted` holds; null: none.
  template <class Wanted>
  Waiter* find(const Wanted& wanted) const {
    Waiter* one = head_;
    while (one != nullptr && !wanted(*one)) one = one->next_;
    return one;
  }

  void push(Waiter& waiter) {
    waiter.queue_ = this;
    waiter.previous_ = tail_;
    waiter.next_ = nullptr;
    (tail_ != nullptr ? tail_->next_ : head_) = &waiter;
    tail_ = &waiter;
    ++size_;
  }
  void remove(Waiter& waiter) {
    (waiter.previous_ != nullptr ? waiter.previous_->next_ : head_) = waiter.next_;
    (waiter.next_ != nullptr ? waiter.next_->previous_ : tail_) = waiter.previous_;
    waiter.queue_ = nullptr;
    --size_;
  }

 private:
  Waiter* head_ = nullptr;
  Waiter* tail_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace hyperdrive::proxy::pool
