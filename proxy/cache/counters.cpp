#include "proxy/cache/counters.hpp"

namespace hyperdrive::proxy::cache {

Counters::Cell& Counters::cell() {
  static std::atomic<std::size_t> threads{0};
  thread_local const std::size_t mine = threads.fetch_add(1, std::memory_order_relaxed) % kCells;
  return cells_[mine];
}

CountsSnapshot Counters::snapshot() const {
  CountsSnapshot sum;
  for (const Cell& cell : cells_) {
    for (std::size_t i = 0; i < sum.statuses.size(); ++i) {
      sum.statuses[i] += cell.statuses[i].load(std::memory_order_relaxed);
    }
    for (std::size_t i = 0; i < sum.counts.size(); ++i) {
      sum.counts[i] += cell.counts[i].load(std::memory_order_relaxed);
    }
  }
  return sum;
}

}  // namespace hyperdrive::proxy::cache
