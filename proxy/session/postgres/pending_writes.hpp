// What the transaction that runs on one origin connection writes, from the moment a statement is
// sent until its end is known. Part of Origin; its worker's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/cache/epochs.hpp"

namespace hyperdrive::proxy::session::postgres {

struct PendingWrites {
  cache::WriteIntent intent;
  bool may_commit_inside = false;  ///< CALL, DO, several statements: no tag tells the end
  bool schema_changes = false;     ///< the catalogs must be read again
  std::uint64_t generation = 0;    ///< of the catalogs by which its targets were found
  std::string prepared;            ///< PREPARE TRANSACTION 'this'

  // From the command tags since the connection was last idle:
  bool succeeded = false;    ///< something did
  bool committed = false;    ///< a COMMIT did
  bool rolled_back = false;  ///< ROLLBACK was the last

  void note(std::string_view tag) {
    succeeded = true;
    rolled_back = tag == "ROLLBACK";
    committed = committed || tag == "COMMIT";
  }
  /// ReadyForQuery 'I' with more on its way: what succeeded up to here is committed.
  void pass_idle() {
    committed = committed || (succeeded && !rolled_back);
    succeeded = rolled_back = false;
  }
  /// At ReadyForQuery 'I': nothing of it can have been committed.
  bool surely_undone() const {
    return !may_commit_inside && !committed && (rolled_back || !succeeded);
  }
};

}  // namespace hyperdrive::proxy::session::postgres
