// The fence between a commit that the origin's log tells of and the moment when it can be seen.
//
// The log is written before the transaction leaves the list of running ones (and long before, when
// a synchronous standby is awaited). Whoever read the table in between saw the old rows; stored
// then, they would stay, because no further event comes. So at a commit event the tables' marks are
// opened (old answers end, new ones are not stored) until the origin itself says that every new
// snapshot sees the transaction: pg_visible_in_snapshot(xid, pg_current_snapshot()). Then the marks
// are raised once more, which also ends what was dispatched before, and closed.
//
// Pure state: it makes the question and reads the answer; who asks is replication.hpp's business.
// One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/cache/epochs.hpp"

namespace hyperdrive::proxy::session::postgres {

class VisibilityFence {
 public:
  /// `holds` false: for the test that shows the fence to be needed; commits are settled at once.
  explicit VisibilityFence(bool holds = true) : holds_(holds) {}

  /// A commit event, with the intent that has its tables (none: it may have changed the schema).
  /// `xid` as the log has it: 32 bits.
  void add(std::uint32_t xid, cache::WriteIntent intent);

  bool empty() const { return waiting_.empty(); }
  std::size_t size() const { return waiting_.size(); }

  /// The statement to ask about the oldest waiting transactions; one row, one column comes back:
  /// a text of 't' and 'f', one for each. It widens each xid by the epoch of the snapshot itself.
  std::string question();
  struct Settled {
    std::size_t transactions = 0;
    bool without_tables = false;  ///< one of them changed no table: look at the schema
  };
  /// Settles those that are visible; nothing if the answer does not fit the question.
  std::optional<Settled> answer(std::string_view flags);
  /// The connection is lost: settles nothing, forgets nothing; question() starts anew.
  void forget_question() { asked_ = 0; }
  /// Settles all: whoever calls it knows that they are over (a new stream has been fenced).
  void settle_all();

 private:
  struct Waiting {
    std::uint32_t xid;
    cache::WriteIntent intent;
  };
  static constexpr std::size_t kBatch = 500;
  bool holds_;
  std::vector<Waiting> waiting_;  // in the order of the log
  std::size_t asked_ = 0;         // the first so many are in the question
};

}  // namespace hyperdrive::proxy::session::postgres
