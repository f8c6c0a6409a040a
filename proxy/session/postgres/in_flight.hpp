// What an origin connection still owes: one entry for each message sent that will be answered, in
// order.
//
// Entries say whose message it was and what is to become of the reply. The queue is the only truth
// about replies: a lease may end only when it is empty.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/session/postgres/pending_writes.hpp"
#include "proxy/session/postgres/statements.hpp"
#include "proxy/session/postgres/text_info.hpp"

namespace hyperdrive::proxy::session::postgres {

/// A statement under one client's name for it.
struct Named {
  StatementRef statement;
  TextRef text;
  Shape told;
  std::string name;
};
using NamedRef = std::shared_ptr<Named>;

enum class ReplyKind : std::uint8_t {
  kParse,
  kBind,
  kDescribeStatement,
  kDescribePortal,
  kExecute,
  kClose,
  kSync,
  kQuery,
  kFunctionCall,
  kCopyEnd,  ///< no reply: marks where CopyDone or CopyFail stands in the stream
};

enum class ReplyAction : std::uint8_t {
  kForward,
  kSwallow,  ///< the message was the proxy's own
  kFake,     ///< nothing was sent; the reply is made here when its turn comes
};

struct Expected {
  ReplyKind kind = ReplyKind::kSync;
  ReplyAction action = ReplyAction::kForward;
  bool settings = false;          ///< a settings diff: a failure breaks the connection
  bool check = false;             ///< Describe of a re-parsed statement: compare with what was told
  bool unnamed = false;           ///< concerns the client's unnamed statement
  bool changes_unnamed = false;   ///< a Parse or Close of the unnamed statement
  bool changes_names = false;     ///< the client's Parse or Close of a named statement
  bool changes_prepared = false;  ///< what the connection has prepared
  bool resets = false;            ///< RESET ALL, DISCARD ALL: the session's settings must follow
  bool in_copy = false;           ///< kSync: sent where the data of a COPY may be read
  bool poison = false;            ///< fails on purpose; `payload` is the error to tell instead
  bool in_failed = false;         ///< … where the transaction has failed, so for another reason
  bool portal = false;            ///< kBind: of the client's unnamed portal
  bool begins = false;            ///< of a BEGIN sent ahead of the client's group (fold.cpp)
  bool finds_prepared = false;    ///< the question whether SQL has left statements: fails if so
  bool finds_syncs = false;       ///< kQuery, empty: what is before it answers Syncs sent in a COPY
  bool breaks_copy = false;       ///< likewise, in place of a client's message (its type: `serial`)
  Conduct conduct;                ///< kQuery, kExecute, kFunctionCall
  std::uint16_t statement = 0;    ///< kQuery: how many of its statements are complete
  std::uint16_t copies = 0;       ///< that it may still begin, whose data's end has not been sent
  std::uint64_t serial = 0;       ///< unnamed: of the Parse; else of the client's message
  std::chrono::steady_clock::time_point start{};
  TextRef text;           ///< kQuery, kExecute: what runs; kParse of the unnamed statement; poison
  StatementRef prepared;  ///< the origin's statement it is about
  NamedRef named;         ///< the client's name it is about
  std::unique_ptr<std::string> payload;  ///< kClose: the client's name; poison: an ErrorResponse;
                                         ///< kParse: the name there; kBind: the portal's name
};

/// A queue in a ring that grows and never shrinks below its first size.
class InFlight {
 public:
  InFlight() : slots_(16) {}

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  Expected& front() { return slots_[head_]; }
  const Expected& back() const { return slots_[(head_ + size_ - 1) & (slots_.size() - 1)]; }
  Expected& operator[](std::size_t at) { return slots_[(head_ + at) & (slots_.size() - 1)]; }

  Expected& push(ReplyKind kind, ReplyAction action) {
    if (size_ == slots_.size()) grow();
    Expected& entry = slots_[(head_ + size_++) & (slots_.size() - 1)];
    entry.kind = kind;
    entry.action = action;
    return entry;
  }
  /// `entry` (in this queue) will, or will not, change what a name of the client's means.
  void mark_name_change(Expected& entry) {
    entry.changes_names = true;
    ++name_changes_;
  }
  void mark_unnamed_change(Expected& entry) {
    entry.changes_unnamed = true;
    ++unnamed_changes_;
  }
  /// Likewise, what the connection has prepared.
  void mark_prepared_change(Expected& entry) {
    entry.changes_prepared = true;
    ++prepared_changes_;
  }
  void mark_reset(Expected& entry) {
    if (!std::exchange(entry.resets, true)) ++resets_;
  }
  void mark_begin(Expected& entry) {
    entry.begins = true;
    ++begins_;
  }
  /// It may begin so many COPYs, one behind the other: whether what is behind it is read as
  /// messages is open.
  void mark_copies(Expected& entry, std::uint16_t copies) {
    entry.copies = copies;
    copies_ += copies;
  }
  /// The end of a COPY's data is on its way: whatever came of it, the next one's may follow.
  void copy_data_ends() {
    bool latest = true;
    for (std::size_t at = size_; copies_ > 0 && at-- > 0;) {
      Expected& entry = (*this)[at];
      if (entry.copies == 0) continue;
      const std::uint16_t over = std::exchange(latest, false) ? 1 : entry.copies;
      entry.copies -= over;
      copies_ -= over;
    }
  }
  /// The first entry has begun one, and the end of its data has not been sent.
  void copy_begins() {
    if (front().copies == 0) return;
    --front().copies;
    --copies_;
  }
  bool copies_pending() const { return copies_ > 0; }
  void mark_in_copy(Expected& sync) {
    sync.in_copy = true;
    ++syncs_in_copy_;
  }
  /// Whether these Syncs will be answered is open.
  bool has_syncs_in_copy() const { return syncs_in_copy_ > 0; }
  bool begin_pending() const { return begins_ > 0; }
  bool resets_pending() const { return resets_ > 0; }
  bool names_uncertain() const { return name_changes_ > 0; }
  bool unnamed_uncertain() const { return unnamed_changes_ > 0; }
  bool prepared_uncertain() const { return prepared_changes_ > 0; }
  /// Also drops CopyEnd marks that come to the front: nothing is answered to them.
  void pop() {
    do {
      uncount(front());
      front() = Expected{};
      head_ = (head_ + 1) & (slots_.size() - 1);
      --size_;
    } while (size_ > 0 && front().kind == ReplyKind::kCopyEnd);
    if (size_ == 0) head_ = 0;  // the slot that is in the cache
  }
  /// Takes out the entry at `at`, keeping the order of the others.
  void erase(std::size_t at) {
    uncount((*this)[at]);
    for (; at + 1 < size_; ++at) (*this)[at] = std::move((*this)[at + 1]);
    shrink(size_ - 1);
  }
  /// Takes out all from `at` on of which `is_out` says so, asked once each in their order.
  template <typename IsOut>
  void erase_if(std::size_t at, IsOut is_out) {
    std::size_t kept = at;
    for (; at < size_; ++at) {
      if (is_out((*this)[at])) {
        uncount((*this)[at]);
        continue;
      }
      if (kept != at) (*this)[kept] = std::move((*this)[at]);
      ++kept;
    }
    shrink(kept);
  }

 private:
  void uncount(const Expected& entry) {
    if (entry.changes_names) --name_changes_;
    if (entry.changes_unnamed) --unnamed_changes_;
    if (entry.changes_prepared) --prepared_changes_;
    if (entry.resets) --resets_;
    if (entry.begins) --begins_;
    if (entry.in_copy) --syncs_in_copy_;
    copies_ -= entry.copies;
  }
  void shrink(std::size_t size) {
    while (size_ > size) (*this)[--size_] = Expected{};
  }
  void grow() {
    std::vector<Expected> larger(slots_.size() * 2);
    for (std::size_t i = 0; i < size_; ++i) larger[i] = std::move((*this)[i]);
    slots_ = std::move(larger);
    head_ = 0;
  }
  std::vector<Expected> slots_;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
  std::size_t name_changes_ = 0;
  std::size_t unnamed_changes_ = 0;
  std::size_t prepared_changes_ = 0;
  std::size_t resets_ = 0;
  std::size_t begins_ = 0;
  std::size_t copies_ = 0;
  std::size_t syncs_in_copy_ = 0;
};

}  // namespace hyperdrive::proxy::session::postgres
