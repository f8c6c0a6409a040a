// The store: all cached answers of a process within one byte budget, in shards.
//
// The budget counts everything the cache holds on the heap: entries with their keys, dependency
// lists and the allocator's share, the index, the ghost queue. It is one budget for all shards, so
// that a single answer may be bigger than a shard's part; room is made by evicting from the shards
// in turn. An evicted or replaced entry that is still being served lives on until its reader lets
// go of it.
//
// Freshness is not known here: see cache.hpp. Any thread may call anything; a lookup takes one
// shard's lock for a few tens of nanoseconds.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "proxy/cache/entry.hpp"

namespace hyperdrive::proxy::cache {

class Shard;

struct Purged {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
};

class Store {
 public:
  /// No answer is bigger, whatever the budget (Cloudflare's limit).
  static constexpr std::uint64_t kMaxEntry = 50'000'000;

  /// `is_dead` tells entries that can never be served again; they are evicted first.
  Store(std::uint64_t budget, std::function<bool(const Entry&)> is_dead);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  EntryRef find(Bytes key);
  /// False if the entry is over max_entry(); otherwise it is in, and others have left for it.
  bool insert(EntryRef entry);
  /// Removes this very entry, if a newer one has not taken its place.
  void erase(const Entry& entry);

  /// Removes all entries for which `pick` holds. Reads every entry, one shard at a time.
  Purged sweep(const std::function<bool(const Entry&)>& pick);
  Purged clear();

  /// The biggest answer that is kept: an eighth of the budget, at most kMaxEntry.
  std::uint64_t max_entry() const;
  void resize(std::uint64_t budget);
  std::uint64_t budget() const { return budget_.load(std::memory_order_relaxed); }
  std::uint64_t bytes() const;
  std::uint64_t entries() const;
  std::uint64_t evictions() const { return evictions_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t kShards = 32;
  Shard& shard(std::uint64_t hash) const;
  void account(std::ptrdiff_t change) { used_.fetch_add(change, std::memory_order_relaxed); }
  void make_room();

  std::unique_ptr<Shard[]> shards_;
  std::function<bool(const Entry&)> is_dead_;
  std::atomic<std::uint64_t> budget_;
  std::atomic<std::ptrdiff_t> used_{0};
  std::atomic<std::uint64_t> evictions_{0};
  std::atomic<std::size_t> turn_{0};
};

}  // namespace hyperdrive::proxy::cache
