// libpg_query behind a border that no text can break: errors become values, and nesting that would
// overflow the stack is measured first.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "proxy/sql/tree.hpp"

namespace hyperdrive::proxy::sql {

struct Parsed {
  std::unique_ptr<const Tree> tree;  ///< null if the grammar refused
  std::string error;                 ///< the grammar's words
};

/// Any thread; the library keeps its state per thread.
Parsed parse(std::string_view text);

/// An upper bound of how deep the parse tree of the text can nest.
std::size_t nesting_bound(std::string_view text);

}  // namespace hyperdrive::proxy::sql
