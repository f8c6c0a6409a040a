// What the cache did, counted without contention: each thread adds to a cell of its own, readers
// sum.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "proxy/sql/analysis.hpp"

namespace hyperdrive::proxy::cache {

enum class Count : std::uint8_t {
  kStaleHits,           ///< hits that a write seen by this proxy had made stale
  kCoalesced,           ///< misses that were answered by another's flight
  kOriginMicroseconds,  ///< origin time saved by hits
  kRefreshes,           ///< background refreshes begun
  kRefreshFailures,
  kOverlapped,     ///< answers not stored because a write to their tables was seen meanwhile
  kVerified,       ///< hits that were asked again
  kVerifiedStale,  ///< … and differed
  kInvalidHints,
  kSharedHits,  ///< hits that came from the tier shared with other proxies
  kCount_,
};

/// A sum over all threads at one moment (each number exact, not all from the same instant).
struct CountsSnapshot {
  std::array<std::uint64_t, sql::kCacheStatusCount> statuses{};
  std::array<std::uint64_t, static_cast<std::size_t>(Count::kCount_)> counts{};

  std::uint64_t of(sql::CacheStatus status) const {
    return statuses[static_cast<std::size_t>(status)];
  }
  std::uint64_t of(Count count) const { return counts[static_cast<std::size_t>(count)]; }
};

class Counters {
 public:
  void add(sql::CacheStatus status) { bump(cell().statuses[static_cast<std::size_t>(status)], 1); }
  void add(Count count, std::uint64_t by = 1) {
    bump(cell().counts[static_cast<std::size_t>(count)], by);
  }
  CountsSnapshot snapshot() const;

 private:
  struct alignas(64) Cell {
    std::array<std::atomic<std::uint64_t>, sql::kCacheStatusCount> statuses{};
    std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(Count::kCount_)> counts{};
  };
  static void bump(std::atomic<std::uint64_t>& value, std::uint64_t by) {
    value.fetch_add(by, std::memory_order_relaxed);
  }
  Cell& cell();

  static constexpr std::size_t kCells = 16;  // threads beyond share
  std::array<Cell, kCells> cells_{};
};

}  // namespace hyperdrive::proxy::cache
