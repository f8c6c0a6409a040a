#include "proxy/cache/shard.hpp"

#include <algorithm>

namespace hyperdrive::proxy::cache {

namespace {
constexpr std::size_t kFirstIndex = 16;
constexpr std::uint8_t kMaxUses = 3;
constexpr std::size_t kSmallShare = 10;  // 1/10 of the bytes

std::uint32_t tag_of(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32); }
}  // namespace

// --- ghost
// ------------------------------------------------------------------------------------------

void Ghost::resize(std::size_t slots) { slots_.assign(std::max(slots, kWays), 0); }

std::uint32_t* Ghost::bucket(std::uint64_t hash) {
  const std::size_t buckets = slots_.size() / kWays;
  return &slots_[(hash & (buckets - 1)) * kWays];
}

void Ghost::remember(std::uint64_t hash) {
  if (slots_.empty()) return;
  std::uint32_t* ways = bucket(hash);
  std::copy_backward(ways, ways + kWays - 1, ways + kWays);
  ways[0] = tag_of(hash) | 1u;
}

bool Ghost::recall(std::uint64_t hash) {
  if (slots_.empty()) return false;
  std::uint32_t* ways = bucket(hash);
  std::uint32_t* at = std::find(ways, ways + kWays, tag_of(hash) | 1u);
  if (at == ways + kWays) return false;
  std::copy(at + 1, ways + kWays, at);
  ways[kWays - 1] = 0;
  return true;
}

// --- index
// ------------------------------------------------------------------------------------------

Shard::~Shard() { take_all(); }

std::size_t Shard::position(Bytes key, std::uint64_t hash) const {
  const std::size_t mask = index_.size() - 1;
  std::size_t at = hash & mask;
  while (index_[at].entry != nullptr) {
    if (index_[at].tag == tag_of(hash) && index_[at].entry->key() == key) break;
    at = (at + 1) & mask;
  }
  return at;
}

void Shard::unindex(std::size_t hole) {
  const std::size_t mask = index_.size() - 1;
  for (std::size_t at = (hole + 1) & mask; index_[at].entry != nullptr; at = (at + 1) & mask) {
    const std::size_t home = index_[at].entry->hash() & mask;
    // An entry may fill the hole unless its home lies behind it.
    if (((at - home) & mask) >= ((at - hole) & mask)) {
      index_[hole] = index_[at];
      hole = at;
    }
  }
  index_[hole] = Slot{};
}

void Shard::resize_index(std::size_t slots) {
  std::vector<Slot> old(slots);
  old.swap(index_);
  const std::size_t mask = slots - 1;
  for (const Slot& slot : old) {
    if (slot.entry == nullptr) continue;
    std::size_t at = slot.entry->hash() & mask;
    while (index_[at].entry != nullptr) at = (at + 1) & mask;
    index_[at] = slot;
  }
  ghost_.resize(slots);
}

// --- queues
// -----------------------------------------------------------------------------------------

void Shard::push(Queue& queue, Entry* entry) {
  entry->newer_ = nullptr;
  entry->older_ = queue.newest;
  (queue.newest != nullptr ? queue.newest->newer_ : queue.oldest) = entry;
  queue.newest = entry;
  queue.bytes += entry->footprint();
}

void Shard::remove(Queue& queue, Entry* entry) {
  (entry->newer_ != nullptr ? entry->newer_->older_ : queue.newest) = entry->older_;
  (entry->older_ != nullptr ? entry->older_->newer_ : queue.oldest) = entry->newer_;
  entry->newer_ = entry->older_ = nullptr;
  queue.bytes -= entry->footprint();
}

void Shard::drop(Entry* entry) {
  remove(queue_of(*entry), entry);
  unindex(position(entry->key(), entry->hash()));
  --count_;
  EntryRef{entry};  // lets go of the index's reference
}

// --- what the store calls
// ---------------------------------------------------------------------------

EntryRef Shard::find(Bytes key, std::uint64_t hash) {
  if (index_.empty()) return {};
  Entry* entry = index_[position(key, hash)].entry;
  if (entry == nullptr) return {};
  if (entry->uses_ < kMaxUses) ++entry->uses_;
  entry->references_.fetch_add(1, std::memory_order_relaxed);
  return EntryRef(entry);
}

std::ptrdiff_t Shard::insert(EntryRef added) {
  const auto before = static_cast<std::ptrdiff_t>(footprint());
  if (index_.empty()) resize_index(kFirstIndex);
  Entry* entry = added.release();
  std::size_t at = position(entry->key(), entry->hash());
  if (Entry* old = index_[at].entry; old != nullptr) {
    entry->in_main_ = old->in_main_;
    entry->uses_ = old->uses_;
    remove(queue_of(*old), old);
    push(queue_of(*entry), entry);
    index_[at].entry = entry;
    EntryRef{old};
  } else {
    if ((count_ + 1) * 4 > index_.size() * 3) {
      resize_index(index_.size() * 2);
      at = position(entry->key(), entry->hash());
    }
    index_[at] = Slot{tag_of(entry->hash()), 0, entry};
    ++count_;
    entry->in_main_ = ghost_.recall(entry->hash());
    push(queue_of(*entry), entry);
  }
  return static_cast<std::ptrdiff_t>(footprint()) - before;
}

std::ptrdiff_t Shard::erase(const Entry& entry) {
  if (index_.empty()) return 0;
  Entry* found = index_[position(entry.key(), entry.hash())].entry;
  if (found != &entry) return 0;
  const auto size = static_cast<std::ptrdiff_t>(entry.footprint());
  drop(found);
  return -size;
}

Entry* Shard::victim_of_small() {
  while (Entry* entry = small_.oldest) {
    if (entry->uses_ <= 1) {
      ghost_.remember(entry->hash());
      return entry;
    }
    remove(small_, entry);
    entry->uses_ = 0;
    entry->in_main_ = true;
    push(main_, entry);
  }
  return nullptr;
}

Entry* Shard::victim_of_main() {
  while (Entry* entry = main_.oldest) {
    if (entry->uses_ == 0) return entry;
    --entry->uses_;
    remove(main_, entry);
    push(main_, entry);
  }
  return nullptr;
}

std::ptrdiff_t Shard::evict(const std::function<bool(const Entry&)>& is_dead) {
  if (count_ == 0) return 0;
  Entry* victim = nullptr;
  for (Queue* queue : {&small_, &main_}) {
    if (queue->oldest != nullptr && is_dead(*queue->oldest)) victim = queue->oldest;
  }
  const bool small_is_over = small_.bytes * kSmallShare >= entry_bytes();
  if (victim == nullptr && (small_is_over || main_.oldest == nullptr)) victim = victim_of_small();
  if (victim == nullptr) victim = victim_of_main();
  if (victim == nullptr) victim = victim_of_small();
  const auto size = static_cast<std::ptrdiff_t>(victim->footprint());
  drop(victim);
  return -size;
}

std::size_t Shard::footprint() const {
  return entry_bytes() + index_.capacity() * sizeof(Slot) + ghost_.footprint();
}

std::vector<EntryRef> Shard::take_all() {
  std::vector<EntryRef> taken;
  taken.reserve(count_);
  for (const Slot& slot : index_) {
    if (slot.entry != nullptr) taken.emplace_back(slot.entry);
  }
  index_ = {};
  small_ = main_ = Queue{};
  ghost_ = Ghost{};
  count_ = 0;
  return taken;
}

std::vector<EntryRef> Shard::select(const std::function<bool(const Entry&)>& pick) const {
  std::vector<EntryRef> chosen;
  for (const Slot& slot : index_) {
    if (slot.entry == nullptr || !pick(*slot.entry)) continue;
    slot.entry->references_.fetch_add(1, std::memory_order_relaxed);
    chosen.emplace_back(slot.entry);
  }
  return chosen;
}

}  // namespace hyperdrive::proxy::cache
