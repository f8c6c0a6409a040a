// Tells what one statement is: its effect, its targets, the settings it changes.
#pragma once

#include "proxy/sql/analysis.hpp"
#include "proxy/sql/query_reader.hpp"
#include "proxy/sql/tree.hpp"

namespace hyperdrive::proxy::sql {

/// Reads one statement of `text` (the wrapper, {"SelectStmt": …}); what it reads goes to `reader`.
Statement read_statement(Node wrapper, std::string_view text, QueryReader& reader);

/// SET and RESET as settings; one for each name.
std::vector<Setting> read_settings(Node variable_set, std::string_view text);

/// Whether literals cannot change what was found of this kind of statement.
bool is_literal_blind(Node wrapper);

}  // namespace hyperdrive::proxy::sql
