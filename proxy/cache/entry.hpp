// A cached answer: immutable once made, shared by reference count, one allocation for all but big
// bodies.
//
// The store keeps opaque bytes in three parts, because an answer is served in other envelopes than
// it came in: `head` describes the columns, `rows` are the row messages as they came, `tail` ends
// the result (Postgres: RowDescription, DataRow*, CommandComplete). What the parts mean is the
// session's.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/cache/epochs.hpp"

namespace hyperdrive::proxy::cache {

using Bytes = std::string_view;

/// Rows as they arrive from the origin. Small ones lie in one piece, long ones in pieces of kPiece,
/// which move into the Entry without being copied.
class RowBytes {
 public:
  static constexpr std::size_t kPiece = 64 * 1024;

  void append(Bytes bytes);
  std::size_t size() const { return size_; }
  /// Heap bytes held, slack included.
  std::size_t footprint() const;
  void clear();

 private:
  friend class Entry;
  std::string first_;                            // up to kPiece, grown by doubling
  std::vector<std::unique_ptr<char[]>> pieces_;  // all of kPiece; the last may be part full
  std::size_t size_ = 0;
};

/// What an answer is, apart from its rows.
struct EntryFacts {
  Bytes key;  ///< everything the bytes depend on
  Bytes head;
  Bytes tail;
  std::span<Mark* const> marks;       ///< tables and tags it depends on; the database is implied
  Stamp stamp = 0;                    ///< the clock when the query was sent
  TimePoint created;                  ///< when the answer was complete
  std::chrono::microseconds cost{0};  ///< what the origin took
  std::uint64_t row_count = 0;
};

class Entry;

/// Keeps an Entry alive. Cheap to copy.
class EntryRef {
 public:
  EntryRef() = default;
  explicit EntryRef(Entry* adopted) : entry_(adopted) {}  ///< takes over one reference
  EntryRef(const EntryRef& other);
  EntryRef(EntryRef&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
  EntryRef& operator=(EntryRef other) noexcept {
    std::swap(entry_, other.entry_);
    return *this;
  }
  ~EntryRef();

  explicit operator bool() const { return entry_ != nullptr; }
  Entry* operator->() const { return entry_; }
  Entry& operator*() const { return *entry_; }
  Entry* get() const { return entry_; }
  Entry* release() { return std::exchange(entry_, nullptr); }

 private:
  Entry* entry_ = nullptr;
};

class Entry {
 public:
  static EntryRef make(const EntryFacts& facts, RowBytes rows);
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  Bytes key() const { return {bytes_, key_size_}; }
  Bytes head() const { return {bytes_ + key_size_, head_size_}; }
  Bytes tail() const { return {bytes_ + key_size_ + head_size_, tail_size_}; }
  /// Calls `sink(Bytes)` for each piece of the rows, in order.
  template <class Sink>
  void rows(Sink&& sink) const {
    if (first_size_ > 0) sink(Bytes(bytes_ + key_size_ + head_size_ + tail_size_, first_size_));
    std::size_t left = rows_size_ - first_size_;
    for (const auto& piece : pieces_) {
      const std::size_t size = left < RowBytes::kPiece ? left : RowBytes::kPiece;
      sink(Bytes(piece.get(), size));
      left -= size;
    }
  }
  std::size_t rows_size() const { return rows_size_; }
  std::uint64_t row_count() const { return row_count_; }

  std::span<Mark* const> marks() const { return {marks_, marks_size_}; }
  Stamp stamp() const { return stamp_; }
  TimePoint created() const { return created_; }
  std::chrono::microseconds cost() const { return std::chrono::microseconds(cost_us_); }
  std::uint64_t hash() const { return hash_; }
  /// Heap bytes this entry holds, allocator overhead included.
  std::size_t footprint() const { return footprint_; }

  /// True for exactly one caller until `lease` has passed: that one refreshes the entry.
  bool claim_refresh(TimePoint now, std::chrono::milliseconds lease);
  /// The refresh failed: nobody tries again before `until`.
  void postpone_refresh(TimePoint until);

 private:
  friend class EntryRef;
  friend class Shard;
  Entry() = default;
  ~Entry() = default;
  static void destroy(Entry* entry);

  // Set by make() and constant from then on.
  char* bytes_ = nullptr;   // key, head, tail, first rows: behind this object
  Mark** marks_ = nullptr;  // likewise
  std::vector<std::unique_ptr<char[]>> pieces_;
  std::uint64_t hash_ = 0;
  Stamp stamp_ = 0;
  TimePoint created_;
  std::uint64_t rows_size_ = 0;
  std::uint64_t row_count_ = 0;
  std::size_t footprint_ = 0;
  std::uint32_t key_size_ = 0, head_size_ = 0, tail_size_ = 0, first_size_ = 0;
  std::uint32_t marks_size_ = 0;
  std::uint32_t cost_us_ = 0;

  std::atomic<std::int64_t> refresh_after_ns_{0};
  std::atomic<std::uint32_t> references_{1};

  // The shard's, under its lock (proxy/cache/shard.hpp).
  Entry* newer_ = nullptr;
  Entry* older_ = nullptr;
  std::uint8_t uses_ = 0;
  bool in_main_ = false;
};

/// The hash by which keys are found (and only found).
std::uint64_t hash_key(Bytes key);

inline EntryRef::EntryRef(const EntryRef& other) : entry_(other.entry_) {
  if (entry_ != nullptr) entry_->references_.fetch_add(1, std::memory_order_relaxed);
}

inline EntryRef::~EntryRef() {
  if (entry_ != nullptr && entry_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    Entry::destroy(entry_);
  }
}

}  // namespace hyperdrive::proxy::cache
