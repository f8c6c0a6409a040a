// The query cache, as a session sees it: look up, or fly and bring home.
//
//   find(key)  ── fresh ──► serve                     board(key) ── follower ──► wait, then serve
//              ── stale ──► serve; perhaps refresh               └─ leader ────► dispatch(), ask
//              the ── none  ──► board(key)                              origin, capture, then
//              finish()
//
// Shared by all workers; any thread may call anything. It knows no protocol: keys and answers are
// opaque bytes. Freshness by mode (shared/cache.md):
//   none         an answer lives max_age + swr; writes that were seen since are counted and
//   reported
//                with each hit, not obeyed;
//   writes       an answer ends with the first write seen to what it depends on;
//   replication  likewise, where the writes seen include those the origin's log tells of.
// Purges and changes of the schema end answers in every mode.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "proxy/cache/counters.hpp"
#include "proxy/cache/entry.hpp"
#include "proxy/cache/epochs.hpp"
#include "proxy/cache/flights.hpp"
#include "proxy/cache/policy.hpp"
#include "proxy/cache/store.hpp"

namespace hyperdrive::proxy::cache {

struct Found {
  enum class State : std::uint8_t { kNone, kFresh, kStale } state = State::kNone;
  EntryRef entry;  ///< unless kNone
  std::chrono::milliseconds age{0};
  bool refresh = false;           ///< kStale: this caller, and no other, is to refresh it
  const Mark* written = nullptr;  ///< mode none: the answer is stale by a write to this
  std::chrono::milliseconds written_ago{0};

  /// Of a query that is answered with it; kNone: it came with another client's miss.
  sql::CacheStatus status() const;
};

/// The rows of an answer on their way to the client, copied aside. Gives up, and frees what it
/// holds, when the answer gets bigger than an entry may be; the query goes on.
class Capture {
 public:
  Capture() = default;
  Capture(Capture&& other) noexcept { *this = std::move(other); }
  Capture& operator=(Capture&& other) noexcept;
  ~Capture() { drop(); }

  void append(Bytes rows);
  bool overflowed() const { return overflowed_; }
  std::size_t size() const { return rows_.size(); }

 private:
  friend class Cache;
  void drop();
  void charge();

  class Cache* cache_ = nullptr;
  RowBytes rows_;
  std::size_t charged_ = 0;
  bool overflowed_ = false;
};

struct CacheOptions {
  std::uint64_t budget = 64ull << 20;
};

class Cache {
 public:
  Cache(const CacheOptions& options, Policy policy);

  Epochs& epochs() { return epochs_; }
  Counters& counters() { return counters_; }
  const Store& store() const { return store_; }

  Found find(Bytes key, const Lifetime& lifetime, TimePoint now);

  /// `wake` is used only if the result is a follower.
  Boarding board(Bytes key, std::span<Mark* const> marks, Wake wake);
  /// To refresh what find() said is stale, or for an answer that nobody is to wait for by choice;
  /// nothing if somebody already flies for it. `stamp`: as the query is going to be stamped.
  std::optional<Leader> board_refresh(Bytes key, std::span<Mark* const> marks, Stamp stamp);
  /// The refresh brought nothing home: the next one may try after a while.
  void refresh_failed(Entry& entry, TimePoint now);

  /// Whether the origin must still say what the entry says, but for what nobody could see: no write
  /// or purge has ended it and none is under way.
  bool comparable(const Entry& entry) const;

  Capture capture();

  struct Answer {
    Bytes key, head, tail;
    std::chrono::microseconds cost{0};
    std::uint64_t row_count = 0;
  };
  enum class Outcome : std::uint8_t {
    kStored,
    kOverlapped,  ///< a write or purge came between: given to the followers, not stored
    kOversized,   ///< followers go themselves
  };
  /// The leader's answer is complete and may be cached. Followers are woken before it returns.
  Outcome finish(Leader leader, const Answer& answer, Capture capture, TimePoint now);
  /// Keeps an answer that came along with another's flight; stamped when its query was sent.
  Outcome keep(const Answer& answer, std::span<Mark* const> marks, Stamp stamp, Capture capture,
               TimePoint now);

  /// An answer that another process got, complete at `created`; our clock was `stamp` when it was
  /// known to be current. Kept if it still is.
  EntryRef adopt(const Answer& answer, std::span<Mark* const> marks, Stamp stamp, Capture rows,
                 TimePoint created);
  /// The answer kept under a key, whatever its age; null if there is none.
  EntryRef peek(Bytes key) { return store_.find(key); }

  // --- control; see also epochs()
  // ------------------------------------------------------------------
  Purged purge_all();
  Purged purge_table(TableId table);
  /// Of a table, a tag, a query.
  Purged purge(Mark& mark);

  /// The policy in force. Compare generations (cheap) to know whether a kept copy is still right.
  std::shared_ptr<const Policy> policy() const;
  std::uint64_t policy_generation() const { return generation_.load(std::memory_order_acquire); }
  /// Acts at once. A change of the mode of freshness empties the cache.
  void reload(Policy policy);
  void resize(std::uint64_t budget) { store_.resize(budget); }

 private:
  friend class Capture;
  bool obeys_writes() const { return obeys_writes_.load(std::memory_order_acquire); }
  bool usable(const Entry& entry) const;
  bool may_join(Stamp stamp, std::span<Mark* const> marks) const;
  bool too_big(const Answer& answer, const Capture& capture) const;
  EntryRef make(const Answer& answer, std::span<Mark* const> marks, Stamp stamp, Capture capture,
                TimePoint now);
  Outcome store(EntryRef entry);

  Epochs epochs_;
  Counters counters_;
  Store store_;
  Flights flights_;
  std::atomic<std::ptrdiff_t> captured_{0};  // bytes held by captures
  std::atomic<bool> obeys_writes_{false};
  std::atomic<std::uint64_t> generation_{1};
  mutable std::mutex policy_mutex_;
  std::shared_ptr<const Policy> policy_;
};

}  // namespace hyperdrive::proxy::cache
