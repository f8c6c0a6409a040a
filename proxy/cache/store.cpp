#include "proxy/cache/store.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include "proxy/cache/shard.hpp"

namespace hyperdrive::proxy::cache {

Store::Store(std::uint64_t budget, std::function<bool(const Entry&)> is_dead)
    : shards_(std::make_unique<Shard[]>(kShards)), is_dead_(std::move(is_dead)), budget_(budget) {}

Store::~Store() = default;

Shard& Store::shard(std::uint64_t hash) const {
  // The index uses the low bits and its tags the high half; take bits that neither starts with.
  return shards_[(hash >> 26) % kShards];
}

EntryRef Store::find(Bytes key) {
  const std::uint64_t hash = hash_key(key);
  Shard& home = shard(hash);
  std::lock_guard lock(home.mutex);
  return home.find(key, hash);
}

bool Store::insert(EntryRef entry) {
  if (entry->footprint() > max_entry()) return false;
  Shard& home = shard(entry->hash());
  {
    std::lock_guard lock(home.mutex);
    account(home.insert(std::move(entry)));
  }
  make_room();
  return true;
}

void Store::make_room() {
  // As many shards in a row may be empty as there are; then the rest is index, and stays.
  std::size_t empty = 0;
  while (bytes() > budget() && empty < kShards) {
    Shard& next = shards_[turn_.fetch_add(1, std::memory_order_relaxed) % kShards];
    std::lock_guard lock(next.mutex);
    const std::ptrdiff_t change = next.evict(is_dead_);
    account(change);
    if (change != 0) evictions_.fetch_add(1, std::memory_order_relaxed);
    empty = change == 0 ? empty + 1 : 0;
  }
}

void Store::erase(const Entry& entry) {
  Shard& home = shard(entry.hash());
  std::lock_guard lock(home.mutex);
  account(home.erase(entry));
}

Purged Store::sweep(const std::function<bool(const Entry&)>& pick) {
  Purged purged;
  for (std::size_t i = 0; i < kShards; ++i) {
    std::vector<EntryRef> chosen;  // freed after the lock
    std::lock_guard lock(shards_[i].mutex);
    chosen = shards_[i].select(pick);
    for (const EntryRef& entry : chosen) {
      purged.bytes += entry->footprint();
      account(shards_[i].erase(*entry));
    }
    purged.entries += chosen.size();
  }
  return purged;
}

Purged Store::clear() {
  Purged purged;
  for (std::size_t i = 0; i < kShards; ++i) {
    std::vector<EntryRef> taken;
    {
      std::lock_guard lock(shards_[i].mutex);
      account(-static_cast<std::ptrdiff_t>(shards_[i].footprint()));
      taken = shards_[i].take_all();
    }
    purged.entries += taken.size();
    for (const EntryRef& entry : taken) purged.bytes += entry->footprint();
  }
  return purged;
}

std::uint64_t Store::max_entry() const { return std::min(budget() / 8, kMaxEntry); }

void Store::resize(std::uint64_t budget) {
  budget_.store(budget, std::memory_order_relaxed);
  make_room();
}

std::uint64_t Store::bytes() const {
  return static_cast<std::uint64_t>(
      std::max<std::ptrdiff_t>(used_.load(std::memory_order_relaxed), 0));
}

std::uint64_t Store::entries() const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kShards; ++i) {
    std::lock_guard lock(shards_[i].mutex);
    sum += shards_[i].entries();
  }
  return sum;
}

}  // namespace hyperdrive::proxy::cache
