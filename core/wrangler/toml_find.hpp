// Where a TOML text defines a table or array that a path names: TOML has five ways to do so. Pure.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "core/wrangler/toml_scan.hpp"
#include "core/wrangler/writer.hpp"

namespace hyperdrive::core::wrangler {

using Statements = std::vector<Statement>;

/// The value that a path leads to if it is written with `=`.
struct Written {
  std::size_t statement = 0;   ///< the `key = value` that holds it
  std::vector<Link> chain;     ///< through inline tables, outermost first
  const Node* node = nullptr;  ///< the value; or, if `rest` is not empty, the deepest inline table
  Path rest;                   ///< what of the path the inline table lacks
};

/// Follows the path through keys and inline tables. nullopt: no statement with `=` leads there.
std::optional<Written> find_written(const Statements& statements, const Path& path);

/// The indexes of the `[[path]]` headers.
std::vector<std::size_t> array_headers(const Statements& statements, const Path& path);

/// The statements of one `[[path]]` element: its header, its keys, its sub-tables wherever they
/// stand, up to the next `[[path]]`.
std::vector<std::size_t> element_statements(const Statements& statements, const Path& path,
                                            std::size_t header);

/// The last statement in or below the table `path` that a header opened; nullopt: none.
std::optional<std::size_t> last_below(const Statements& statements, const Path& path);

/// The last statement that defines something in the table `path` by a dotted key from a table
/// above; nullopt: none.
std::optional<std::size_t> last_dotted(const Statements& statements, const Path& path);

}  // namespace hyperdrive::core::wrangler
