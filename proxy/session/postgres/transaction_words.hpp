// Which texts begin or end a transaction and do nothing else, told from their words alone.
//
// Pure. What is not recognised (comments, savepoints, AND CHAIN, options that Postgres may refuse
// by its grammar) is the origin's to read.
#pragma once

#include <string_view>

namespace hyperdrive::proxy::session::postgres {

/// The command tag of a lone BEGIN or START TRANSACTION with nothing but transaction modes:
/// "BEGIN", "START TRANSACTION"; empty: it is none.
std::string_view begin_tag(std::string_view text);

/// Likewise of COMMIT, END, ROLLBACK, ABORT without AND CHAIN: "COMMIT", "ROLLBACK".
std::string_view end_tag(std::string_view text);

}  // namespace hyperdrive::proxy::session::postgres
