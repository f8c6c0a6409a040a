// Volatility as it may be believed: pg_proc.provolatile, or
//   l  declared IMMUTABLE, but its body may depend on more than its arguments
//   w  declared STABLE or IMMUTABLE, but its body may write, or change the session
// so that in the order of letters i < l < s < v < w, and everything from v on may write.
//
// Pure: SQL for whoever asks the origin.
#pragma once

#include <string>
#include <string_view>

namespace hyperdrive::proxy::sql {

/// The lies as they were found, and up to which transaction.
struct KnownLies {
  std::string found;  ///< as the preparation's row gave them; empty: not known
  std::string since;
};

/// A statement to run before catalog_queries() in their transaction: it finds the lies once for all
/// of them, and leaves them in a setting. (To plan the search anew within each of them took
/// Postgres 70 of 90 ms.) Its one row is what to remember as KnownLies, for the same server only:
/// while no function or operator has come since, and no relation whose name stands in the source of
/// one, they are not looked for again (which takes a second for a megabyte of source).
std::string lies_preparation(const KnownLies& known);

/// The query with `{p}` replaced by the volatility that may be believed of `p`, a row of pg_proc;
/// fails where the preparation has not run.
std::string with_honest_volatility(std::string_view query);

}  // namespace hyperdrive::proxy::sql
