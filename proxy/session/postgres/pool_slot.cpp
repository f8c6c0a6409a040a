#include "proxy/session/postgres/pool_slot.hpp"

#include <utility>

namespace hyperdrive::proxy::session::postgres {

void PoolSlot::take(std::function<void(bool)> taken) {
  counted_ = service_.options()->config.origin_connection_limit > 1;
  if (!counted_) return taken(true);
  ask(0, std::move(taken));
}

/// Each worker may have idle connections that only its own thread may close.
void PoolSlot::ask(std::size_t worker, std::function<void(bool)> taken) {
  if (worker >= service_.workers.size()) return taken(false);
  service_.workers[worker]->loop.post([this, worker, taken = std::move(taken)]() mutable {
    if (service_.pool->take_slot(worker)) return taken(true);
    ask(worker + 1, std::move(taken));
  });
}

void PoolSlot::give_back() {
  if (!std::exchange(counted_, false)) return;
  service_.workers.front()->loop.post([pool = service_.pool.get()] { pool->discard(nullptr); });
}

bool PoolSlot::was_used() {
  const std::uint64_t now = service_.telemetry.snapshot()[Counter::kBytesFromClients];
  return std::exchange(seen_, now) != now;
}

}  // namespace hyperdrive::proxy::session::postgres
