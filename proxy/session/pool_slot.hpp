// A place among the connections that the pool may have open, for a connection that the cache's
// keeper needs for a moment only: with caching disabled it has none of its own.
//
// Owned by the keeper. `Service` is the protocol's; everything that it names here outlives the
// keeper's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "proxy/session/telemetry.hpp"

namespace hyperdrive::proxy::session {

/// Called on the keeper's thread.
class BorrowedSlot {
 public:
  virtual ~BorrowedSlot() = default;
  /// `taken` is called once, on any thread; false: all are in use.
  virtual void take(std::function<void(bool)> taken) = 0;
  /// What gives the place back, to be called on the keeper's thread, too, when the connection is
  /// closed. Another may be taken before.
  virtual std::function<void()> leave() = 0;
  /// Whether clients have asked anything since the last time that this was asked.
  virtual bool was_used() = 0;
};

/// A limit of one is exceeded by it: closing the only connection for each look at the catalogs
/// would cost sessions theirs.
template <class Service>
class PoolSlot final : public BorrowedSlot {
 public:
  explicit PoolSlot(Service& service) : service_(service) {}

  void take(std::function<void(bool)> taken) override {
    counted_ = service_.options()->config.origin_connection_limit > 1;
    if (!counted_) return taken(true);
    ask(0, std::move(taken));
  }

  std::function<void()> leave() override {
    if (!std::exchange(counted_, false)) return [] {};
    return [&service = service_] {
      service.workers.front()->loop.post([pool = service.pool.get()] { pool->discard(nullptr); });
    };
  }

  bool was_used() override {
    const std::uint64_t now = service_.telemetry.snapshot()[Counter::kBytesFromClients];
    return std::exchange(seen_, now) != now;
  }

 private:
  /// Each worker may have idle connections that only its own thread may close.
  void ask(std::size_t worker, std::function<void(bool)> taken) {
    if (worker >= service_.workers.size()) return taken(false);
    service_.workers[worker]->loop.post([this, worker, taken = std::move(taken)]() mutable {
      service_.pool->take_slot(worker, [this, worker, taken = std::move(taken)](bool got) mutable {
        if (got) return taken(true);
        ask(worker + 1, std::move(taken));
      });
    });
  }

  Service& service_;
  bool counted_ = false;    // the slot that was taken is the pool's
  std::uint64_t seen_ = 0;  // bytes from clients
};

}  // namespace hyperdrive::proxy::session
