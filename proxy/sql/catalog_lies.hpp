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

/// A statement to run before catalog_queries() in their transaction, so that they need not find the
/// lies themselves, each anew. It gives one row that nobody needs.
std::string lies_preparation();

/// The query with `{p}` replaced by the volatility that may be believed of `p`, a row of pg_proc.
std::string with_honest_volatility(std::string_view query);

}  // namespace hyperdrive::proxy::sql
