#include "proxy/cache/entry.hpp"

#include <malloc.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <new>

namespace hyperdrive::proxy::cache {

namespace {
// glibc keeps one size word in front of each block; malloc_usable_size does not count it.
constexpr std::size_t kBlockOverhead = sizeof(std::size_t);
constexpr std::size_t kPieceFootprint = RowBytes::kPiece + 2 * kBlockOverhead;

/// Pieces but for the last are full; the last is cut to what it holds.
std::size_t trim_last(std::vector<std::unique_ptr<char[]>>& pieces, std::size_t used) {
  if (pieces.empty()) return 0;
  auto exact = std::make_unique_for_overwrite<char[]>(used);
  std::memcpy(exact.get(), pieces.back().get(), used);
  pieces.back() = std::move(exact);
  pieces.shrink_to_fit();
  return (pieces.size() - 1) * kPieceFootprint + malloc_usable_size(pieces.back().get()) +
         kBlockOverhead + pieces.capacity() * sizeof(char*) + kBlockOverhead;
}

std::int64_t nanoseconds(TimePoint time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}
}  // namespace

void RowBytes::append(Bytes bytes) {
  size_ += bytes.size();
  if (pieces_.empty()) {
    const std::size_t fits = std::min(bytes.size(), kPiece - first_.size());
    first_.append(bytes.substr(0, fits));
    bytes.remove_prefix(fits);
  }
  while (!bytes.empty()) {
    const std::size_t used = (size_ - bytes.size() - first_.size()) % kPiece;
    if (used == 0) pieces_.push_back(std::make_unique_for_overwrite<char[]>(kPiece));
    const std::size_t fits = std::min(bytes.size(), kPiece - used);
    std::memcpy(pieces_.back().get() + used, bytes.data(), fits);
    bytes.remove_prefix(fits);
  }
}

std::size_t RowBytes::footprint() const {
  return first_.capacity() + pieces_.size() * kPieceFootprint;
}

void RowBytes::clear() {
  first_ = {};
  pieces_.clear();
  size_ = 0;
}

EntryRef Entry::make(const EntryFacts& facts, RowBytes rows) {
  const std::size_t marks_bytes = facts.marks.size() * sizeof(Mark*);
  const std::size_t size = sizeof(Entry) + marks_bytes + facts.key.size() + facts.head.size() +
                           facts.tail.size() + rows.first_.size();
  void* memory = ::operator new(size);
  auto* entry = new (memory) Entry;
  entry->marks_ = reinterpret_cast<Mark**>(static_cast<char*>(memory) + sizeof(Entry));
  entry->bytes_ = static_cast<char*>(memory) + sizeof(Entry) + marks_bytes;
  std::copy(facts.marks.begin(), facts.marks.end(), entry->marks_);
  char* out = entry->bytes_;
  for (Bytes part : {facts.key, facts.head, facts.tail, Bytes(rows.first_)}) {
    out = std::copy(part.begin(), part.end(), out);
  }
  entry->key_size_ = static_cast<std::uint32_t>(facts.key.size());
  entry->head_size_ = static_cast<std::uint32_t>(facts.head.size());
  entry->tail_size_ = static_cast<std::uint32_t>(facts.tail.size());
  entry->first_size_ = static_cast<std::uint32_t>(rows.first_.size());
  entry->marks_size_ = static_cast<std::uint32_t>(facts.marks.size());
  entry->rows_size_ = rows.size_;
  entry->pieces_ = std::move(rows.pieces_);
  entry->hash_ = hash_key(facts.key);
  entry->stamp_ = facts.stamp;
  entry->created_ = facts.created;
  entry->row_count_ = facts.row_count;
  entry->cost_us_ = static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(facts.cost.count(), 0, std::numeric_limits<std::uint32_t>::max()));
  const std::size_t in_pieces = rows.size_ - rows.first_.size();
  const std::size_t last = in_pieces == 0 ? 0 : (in_pieces - 1) % RowBytes::kPiece + 1;
  entry->footprint_ = malloc_usable_size(memory) + kBlockOverhead + trim_last(entry->pieces_, last);
  return EntryRef(entry);
}

void Entry::destroy(Entry* entry) {
  entry->~Entry();
  ::operator delete(static_cast<void*>(entry));
}

bool Entry::claim_refresh(TimePoint now, std::chrono::milliseconds lease) {
  std::int64_t after = refresh_after_ns_.load(std::memory_order_relaxed);
  if (nanoseconds(now) < after) return false;
  return refresh_after_ns_.compare_exchange_strong(after, nanoseconds(now + lease),
                                                   std::memory_order_relaxed);
}

void Entry::postpone_refresh(TimePoint until) {
  refresh_after_ns_.store(nanoseconds(until), std::memory_order_relaxed);
}

std::uint64_t hash_key(Bytes key) { return std::hash<Bytes>{}(key); }

}  // namespace hyperdrive::proxy::cache
