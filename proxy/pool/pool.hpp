// One pool of connections to one origin, shared by all workers of the process.
//
// Rules (shared/proxy.md, Pool): the limit is hard and counts connections being opened; at most two
// are opened at a time, and only when more wait than are being opened; one that is closed counts
// until the origin has closed it, too, for so long does it count there; waiters are served strictly
// in the order in which they came, whichever worker they live on; a returned connection goes
// straight to the oldest of them and never through the idle list.
//
// Threads: acquire, release, discard, lost, forget are called on a worker's thread, for things of
// that worker. One mutex, held for a few list operations; no callback runs under it. A worker
// prefers its own idle connections; one of another worker is detached there and attached here.
// A waiter may claim a connection: while there is a choice it gets that one and others do not. The
// claim ends with the waiter; it reserves nothing. Who seeks one that nobody has claimed stands in
// a queue of its own: it is served after all others, delays nobody, and gives up soon.
//
//   acquire ──idle here──> lease            (same call)
//      │
//      └─> waiters (FIFO) <── release / opened / stolen from another worker: serve()
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "proxy/net/loop.hpp"
#include "proxy/pool/origin_connection.hpp"
#include "proxy/pool/waiter.hpp"

namespace hyperdrive::proxy::pool {

struct PoolOptions {
  int limit = 20;
  std::chrono::milliseconds idle_timeout{600'000};
  std::chrono::milliseconds max_lifetime{3'600'000};
  std::chrono::milliseconds wait_timeout{15'000};
};

/// Makes connections, on the thread of `worker`; `done` is called there, once.
class Opener {
 public:
  using Done = std::function<void(tl::expected<std::unique_ptr<OriginConnection>, Refusal>)>;
  virtual ~Opener() = default;
  virtual void open(std::size_t worker, Done done) = 0;
};

struct PoolGauges {
  std::size_t total = 0;  ///< connections, those being opened included
  std::size_t opening = 0;
  std::size_t idle = 0;
  std::size_t waiting = 0;
};

class Pool {
 public:
  Pool(std::vector<net::Loop*> loops, Opener& opener, PoolOptions options);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// A connection at once, or nothing: then the waiter hears later.
  std::unique_ptr<OriginConnection> acquire(Waiter& waiter);
  /// Like acquire, but never waits and never opens one: for background work.
  std::unique_ptr<OriginConnection> try_acquire(std::size_t worker);
  /// A connection that nobody has claimed, at once or later; nothing, and the waiter does not wait
  /// either: there is none to be had now. A waiter for whom none can be opened, or not within a
  /// second, is refused.
  std::unique_ptr<OriginConnection> acquire_unclaimed(Waiter& waiter);
  /// Waits a little for a connection that is on its way back and that the waiter prefers: its own,
  /// or one that suits. Whoever wants any connection comes first all the same.
  void acquire_returning(Waiter& waiter);
  /// Whether the waiter prefers it to others.
  static bool prefers(const Waiter& waiter, const OriginConnection& connection);
  /// Takes a place under the limit for a connection that is not the pool's; an idle connection is
  /// closed for it if need be. `taken`, at once or later: false: all are in use, or somebody waits.
  /// Given back by discard(nullptr). On the thread of `worker`.
  void take_slot(std::size_t worker, std::function<void(bool)> taken);
  static void claim(OriginConnection& connection, Waiter& waiter);
  static bool is_claimed(const OriginConnection& connection) {
    return !connection.claim_.expired();
  }
  /// The waiter does not want one any more; nothing happens if it is not waiting.
  void forget(Waiter& waiter);
  /// Ends a lease. A connection that is not reusable, or too old, is discarded.
  void release(std::unique_ptr<OriginConnection> connection);
  /// Ends a lease of a connection that is of no more use, and is gone.
  void discard(std::unique_ptr<OriginConnection> connection);
  /// Likewise of one that is there: its place is free when the origin has closed it.
  void retire(std::unique_ptr<OriginConnection> connection);
  /// An idle connection died or said something: it is taken out and given back, for it must not be
  /// destroyed while it is calling.
  std::unique_ptr<OriginConnection> lost(OriginConnection& connection);

  /// Any thread.
  void configure(const PoolOptions& options);
  /// Every connection there is now belongs to the past: idle ones close, leased ones when they come
  /// back. For a config whose origin has changed.
  void renew();
  /// Another process takes over: keeps no idle connections from now on.
  void wind_down();
  PoolGauges gauges() const;
  std::optional<Refusal> last_failure() const;
  /// Closes idle connections of this worker and, from now on, every one that comes back there.
  /// With `refuse_waiters`, those of all workers are refused as kClosing.
  void close(std::size_t worker, bool refuse_waiters);

 private:
  using Clock = std::chrono::steady_clock;
  struct Delivery {
    Waiter* waiter;
    std::unique_ptr<OriginConnection> connection;  // detached, or of this worker already
    bool attach = false;
    std::shared_ptr<const Refusal> refusal;
  };
  struct Worker {
    net::Loop* loop = nullptr;
    std::vector<std::unique_ptr<OriginConnection>> idle;  // last used last
    std::deque<Delivery> inbox;
    std::unique_ptr<net::Timer> timer;
    bool closing = false;
    bool posted = false;
    bool ticking_fast = false;
  };

  void serve(std::size_t here, std::unique_ptr<OriginConnection> connection, bool detached);
  void move(std::size_t here, std::unique_ptr<OriginConnection> connection);
  void deliver(std::size_t worker);
  void post_deliver(std::size_t worker);
  void steal(std::size_t from);
  void consider_opening(std::size_t here);
  void start_open(std::size_t worker);
  void opened(std::size_t worker, tl::expected<std::unique_ptr<OriginConnection>, Refusal> result);
  void open_failed(const Refusal& refusal);
  void tick(std::size_t worker);
  void close_surplus(std::size_t worker);
  void retire_idle(std::unique_ptr<OriginConnection> connection);
  void close_for(std::unique_ptr<OriginConnection> connection, std::function<void()> closed);
  void arm(std::size_t worker);
  std::chrono::milliseconds period(const Worker& worker) const;

  // With the mutex held:
  using Idle = std::vector<std::unique_ptr<OriginConnection>>;
  static std::unique_ptr<OriginConnection> take(Idle& idle, const Waiter* waiter);
  /// Leaves it for the waiter, who is in no queue any more; true: post_deliver() has to follow.
  bool put(Delivery delivery);
  Waiter* next_for(const OriginConnection& connection) const;
  /// Adds to `told` the worker for which post_deliver() has to follow.
  void refuse(Waiter& waiter, std::shared_ptr<const Refusal> refusal,
              std::vector<std::size_t>& told);
  bool wants_more() const;
  bool somebody_waits() const;
  void send_on(const OriginConnection& connection);
  std::size_t idle_elsewhere(std::size_t here) const;
  bool over_limit() const;

  std::chrono::milliseconds jittered(std::chrono::milliseconds limit);
  std::optional<std::chrono::milliseconds> next_tick(Worker& worker);

  mutable std::mutex mutex_;
  std::vector<Worker> workers_;
  Opener& opener_;
  PoolOptions options_;
  WaitQueue waiting_;
  WaitQueue seeking_;    // those who want an unclaimed one
  WaitQueue returning_;  // those who want the one that they had
  std::size_t total_ = 0;
  std::size_t opening_ = 0;
  std::size_t moving_ = 0;   // on their way between workers
  std::size_t closing_ = 0;  // of total_: the origin has not closed them yet
  bool winding_down_ = false;
  int failures_ = 0;  // in a row
  Clock::time_point not_before_{};
  Clock::time_point failing_since_{};
  bool ever_opened_ = false;
  std::shared_ptr<const Refusal> failure_;
  std::uint64_t generation_ = 0;
  std::minstd_rand random_;
};

}  // namespace hyperdrive::proxy::pool
