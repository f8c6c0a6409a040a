// What the transaction that runs on one origin connection writes, from the moment a statement is
// sent until its end is known. Part of Origin; its worker's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/cache/epochs.hpp"

namespace hyperdrive::proxy::session::postgres {

/// What counts of a statement only if it has run, wholly or in part.
struct Conduct {
  bool may_commit_inside = false;  ///< CALL, DO, several statements: no tag tells the end
  bool schema_changes = false;     ///< the catalogs must be read again

  void operator|=(const Conduct& other) {
    may_commit_inside |= other.may_commit_inside;
    schema_changes |= other.schema_changes;
  }
};

struct PendingWrites {
  cache::WriteIntent intent;
  Conduct coming;                ///< of what is about to be sent; then it goes with its Expected
  Conduct had;                   ///< of what has run
  std::uint64_t generation = 0;  ///< of the catalogs by which its targets were found
  std::string prepared;          ///< PREPARE TRANSACTION 'this'

  // From the command tags since the connection was last idle:
  bool succeeded = false;    ///< something did
  bool committed = false;    ///< a COMMIT did, or what lasts like one
  bool rolled_back = false;  ///< ROLLBACK was the last

  /// No statement that writes was sent.
  bool is_clear() const {
    return !intent.pending() && prepared.empty() && !had.may_commit_inside && !had.schema_changes &&
           !coming.may_commit_inside && !coming.schema_changes;
  }
  void note(std::string_view tag) {
    succeeded = true;
    rolled_back = tag == "ROLLBACK";
    committed = committed || tag.starts_with("COMMIT") || tag == "PREPARE TRANSACTION";
  }
  /// After is_clear(): for the next transaction.
  void begin_anew() {
    generation = 0;
    succeeded = committed = rolled_back = false;
  }
  /// An error takes back what its transaction has done, as far as it was not committed.
  void note_error() { succeeded = false; }
  /// ReadyForQuery 'I' with more on its way: what succeeded up to here is committed.
  void pass_idle() {
    committed = committed || (succeeded && !rolled_back);
    succeeded = rolled_back = false;
  }
  /// At ReadyForQuery 'I': nothing of it can have been committed. PREPARE TRANSACTION without a
  /// BEGIN before it commits and says ROLLBACK.
  bool surely_undone() const {
    return prepared.empty() && !had.may_commit_inside && !committed && (rolled_back || !succeeded);
  }
};

}  // namespace hyperdrive::proxy::session::postgres
