// Who wrote what, when: the truth about freshness that every cached answer is checked against.
//
// One clock counts the events of this process (writes first seen, commits, purges). A Mark stands
// for a table, a tag, or the whole database and remembers the clock's value at its last event. An
// answer remembers one Stamp: the clock when its query was sent to the origin. It is current as
// long as no mark it depends on is younger than its stamp; nothing is ever scanned, a check is one
// load for each table, a write is one store for each table.
//
// A write is announced before it is forwarded (begin_write) and settled before its client hears of
// the commit. In between its marks are *open*: answers that depend on them are not stored, and
// since announcing makes older answers old, everybody asks the origin meanwhile. So no reader can
// see the new row at the origin and then the old one in the cache, whatever the order of
// acknowledgements.
//
// Any thread may call anything here. Marks live as long as their Epochs.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/cache/announcement.hpp"

namespace hyperdrive::proxy::cache {

using TimePoint = std::chrono::steady_clock::time_point;
using TableId = std::uint64_t;  ///< Postgres: the oid; MySQL: whatever names a table for good
using Stamp = std::uint64_t;    ///< a reading of the process's event clock

/// A table, a tag or the database, seen from the cache.
class Mark {
 public:
  /// A table's own; tags and the database have ids above kFirstTag. The same in every process.
  TableId id() const { return id_; }
  /// Last write first seen, or committed.
  Stamp changed_at() const { return changed_at_.load(std::memory_order_acquire); }
  /// Last write known to have been committed (or not known not to have been).
  Stamp committed_at() const { return committed_at_.load(std::memory_order_acquire); }
  Stamp purged_at() const { return purged_at_.load(std::memory_order_acquire); }
  /// A write is under way, or its outcome is unknown: do not store.
  bool open() const { return writers_.load(std::memory_order_acquire) != 0; }
  /// When committed_at happened; the clock's epoch if never.
  TimePoint written() const;

 private:
  friend class Epochs;
  friend class WriteIntent;
  TableId id_ = 0;
  std::atomic<Stamp> changed_at_{0};
  std::atomic<Stamp> committed_at_{0};
  std::atomic<Stamp> purged_at_{0};
  std::atomic<std::uint32_t> writers_{0};
  std::atomic<std::int64_t> written_ns_{0};
};

class Epochs;

/// A write that has been announced and not yet settled. One for each transaction that writes (or
/// each statement outside one). Movable; used by one thread at a time.
///
/// An intent that is destroyed unsettled keeps its marks open for good: whoever loses track of a
/// commit must park the intent until the origin tells, not drop it. `Epochs::lost()` counts those.
class WriteIntent {
 public:
  WriteIntent() = default;
  WriteIntent(WriteIntent&& other) noexcept;
  WriteIntent& operator=(WriteIntent&& other) noexcept;
  ~WriteIntent();

  /// Announces further targets of the same transaction. Marks already in it cost nothing.
  void add(std::span<Mark* const> marks);
  /// Announces that anything may be written.
  void add_everything();

  /// The write may have happened: makes every older answer old, then allows stores again. Call it
  /// after the origin said so and before the client hears it.
  void commit();
  /// The write certainly did not happen.
  void roll_back();

  bool pending() const { return epochs_ != nullptr && !marks_.empty(); }
  /// What other processes have been told of it; null where nobody else is to know.
  const std::shared_ptr<Announcement>& announcement() const { return announcement_; }
  std::span<Mark* const> marks() const { return marks_; }

 private:
  friend class Epochs;
  WriteIntent(Epochs& epochs, WriteWatcher* watcher) : epochs_(&epochs), watcher_(watcher) {}
  void settle(bool committed) noexcept;

  Epochs* epochs_ = nullptr;
  WriteWatcher* watcher_ = nullptr;
  std::vector<Mark*> marks_;
  std::shared_ptr<Announcement> announcement_;
};

class Epochs {
 public:
  static constexpr TableId kFirstTag = TableId{1} << 62;
  static constexpr TableId kDatabase = TableId{1} << 63;

  Epochs();
  Epochs(const Epochs&) = delete;
  Epochs& operator=(const Epochs&) = delete;

  /// The mark of a table; made at first use, the same object ever after.
  Mark& table(TableId id);
  /// The mark of a tag or of a query text. Names share a fixed number of marks by their hash, so
  /// that clients cannot grow memory by inventing tags; a purge may therefore drop a few answers
  /// more.
  Mark& tag(std::string_view name);
  Mark& database() { return database_; }
  const Mark& database() const { return database_; }

  /// The reading to stamp a query with, taken before it is sent.
  Stamp now() const { return clock_.load(std::memory_order_acquire); }

  /// An empty intent; fill it with add().
  WriteIntent begin_write() { return {*this, watcher_.load(std::memory_order_acquire)}; }
  /// Likewise, of what the watcher told us itself.
  WriteIntent begin_foreign_write() { return {*this, nullptr}; }
  /// Hears of all writes that begin from now on. It must outlive them.
  void set_watcher(WriteWatcher* watcher) { watcher_.store(watcher, std::memory_order_release); }

  // --- questions about an answer stamped `stamp` that depends on `marks` and the database
  // ----------
  /// No write to them has been seen since.
  bool unwritten_since(Stamp stamp, std::span<Mark* const> marks) const;
  /// None of them has been purged since.
  bool unpurged_since(Stamp stamp, std::span<Mark* const> marks) const;
  /// A write to one of them is under way or unresolved.
  bool any_open(std::span<Mark* const> marks) const;
  /// The mark whose committed write made the answer stale most recently; null if none did.
  const Mark* stale_by(Stamp stamp, std::span<Mark* const> marks) const;

  /// Makes every answer that depends on the mark unusable, in every mode of freshness, at once.
  void purge(Mark& mark);
  void purge_all() { purge(database_); }

  /// Intents that were destroyed unsettled: always a fault of the caller.
  std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  friend class WriteIntent;
  Stamp tick() { return clock_.fetch_add(1, std::memory_order_acq_rel) + 1; }
  static void raise(std::atomic<Stamp>& mark, Stamp to);

  static constexpr std::size_t kTags = 4096;
  std::atomic<Stamp> clock_{1};
  std::atomic<std::uint64_t> lost_{0};
  std::atomic<WriteWatcher*> watcher_{nullptr};
  Mark database_;
  std::unique_ptr<Mark[]> tags_;
  mutable std::shared_mutex mutex_;  // guards tables_, not the marks
  std::unordered_map<TableId, std::unique_ptr<Mark>> tables_;
};

}  // namespace hyperdrive::proxy::cache
