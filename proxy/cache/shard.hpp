// One shard of the store: an index over its entries and the S3-FIFO order in which they leave.
//
// S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023) in short:
//
//      new key ──► small (10 % of the bytes) ──used again──► main (90 %) ◄─┐ used since it was
//                    │ never used again                        │ oldest    │ last the oldest
//                    ▼                                         ├───────────┘
//      remembered:  ghost (hashes only) ──comes back──► main   ▼ unused: gone
//
// Most keys of a skewed load are never asked twice; they pass through the small queue without ever
// pushing out what is hot. A hit only raises a two-bit counter: no list is touched.
//
// The index is an open-addressing table with linear probing and backward-shift deletion. It finds
// by hash and decides by the key's bytes. All members are for the holder of the shard's lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "proxy/cache/entry.hpp"

namespace hyperdrive::proxy::cache {

/// Hashes of keys that left the small queue lately; as many as there are entries, and no more.
/// Lossy: a forgotten or confused hash costs a worse eviction, never a wrong answer.
class Ghost {
 public:
  void resize(std::size_t slots);  ///< a power of two; forgets everything
  void remember(std::uint64_t hash);
  bool recall(std::uint64_t hash);  ///< forgets it, too
  std::size_t footprint() const { return slots_.capacity() * sizeof(std::uint32_t); }

 private:
  std::uint32_t* bucket(std::uint64_t hash);
  static constexpr std::size_t kWays = 4;
  std::vector<std::uint32_t> slots_;  // kWays fingerprints a bucket, newest first; 0: none
};

class Shard {
 public:
  Shard() = default;
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;
  ~Shard();

  mutable std::mutex mutex;

  /// The entry of exactly this key, or nothing. Counts as a use.
  EntryRef find(Bytes key, std::uint64_t hash);
  /// Adds an entry, or puts it in the place of the one with the same key. Returns the bytes by
  /// which the shard grew (negative: shrank), index included.
  std::ptrdiff_t insert(EntryRef entry);
  /// Takes out this very entry if it is still here; likewise.
  std::ptrdiff_t erase(const Entry& entry);
  /// Takes out what S3-FIFO says; 0 if the shard is empty. `is_dead` entries leave first, untested.
  std::ptrdiff_t evict(const std::function<bool(const Entry&)>& is_dead);

  std::size_t entries() const { return count_; }
  std::size_t entry_bytes() const { return small_.bytes + main_.bytes; }
  /// Everything: entries, index, ghost.
  std::size_t footprint() const;
  /// Empties the shard; the entries go with the returned vector, outside the lock.
  std::vector<EntryRef> take_all();
  /// The entries for which `pick` holds, still in place.
  std::vector<EntryRef> select(const std::function<bool(const Entry&)>& pick) const;

 private:
  struct Queue {
    Entry* newest = nullptr;
    Entry* oldest = nullptr;
    std::size_t bytes = 0;
  };
  struct Slot {
    std::uint32_t tag = 0;  // high half of the hash, to skip most strangers
    std::uint32_t unused = 0;
    Entry* entry = nullptr;
  };

  Queue& queue_of(const Entry& entry) { return entry.in_main_ ? main_ : small_; }
  static void push(Queue& queue, Entry* entry);
  static void remove(Queue& queue, Entry* entry);
  std::size_t position(Bytes key, std::uint64_t hash) const;  // of the key or of a free slot
  void unindex(std::size_t at);
  void resize_index(std::size_t slots);
  void drop(Entry* entry);
  Entry* victim_of_small();
  Entry* victim_of_main();

  std::vector<Slot> index_;  // size is a power of two; at most 3/4 full
  Queue small_, main_;
  Ghost ghost_;
  std::size_t count_ = 0;
};

}  // namespace hyperdrive::proxy::cache
