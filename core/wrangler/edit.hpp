// Editing a wrangler file's bindings in place: bytes in, bytes out, no I/O. Any thread.
//
// Only the bytes of the stanza change: comments, order, indentation, quotes, line endings, BOM and
// the final newline (or its absence) stay. Each edit is checked before it is given out: the text is
// parsed before and after, and the only difference must be the one binding; otherwise the edit is
// refused. A text that does not parse is an Error that names line and column.
//
// unbind(bind(text)) == text, byte for byte, for every text that did not have the binding: `bind`
// writes what it creates in a form that tells which of the containers around it were there before,
// and `unbind` looks for the original of which `bind` makes exactly the present text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/wrangler/binding.hpp"
#include "core/wrangler/format.hpp"

namespace hyperdrive::core::wrangler {

/// What wrangler refuses, in its words: bindings without name or id …
struct Problem {
  std::string text;
  std::size_t line = 0;  ///< 0: not known
  bool operator==(const Problem&) const = default;
};

/// A reading of a file: its bindings, top level first, then by environment in the file's order.
struct Reading {
  std::vector<Binding> bindings;
  std::vector<std::string> environments;
  std::vector<Problem> problems;
  std::vector<std::string> warnings;  ///< what wrangler warns of: unexpected fields
};

/// `file` is only named in errors.
Result<Reading> read_bindings(std::string_view text, Format format, std::string_view file);

/// Where a binding belongs and what errors call the file.
struct Target {
  std::string_view file = "wrangler.jsonc";
  std::string_view environment = {};  ///< empty: the top level; created if the file lacks it
};

/// Adds the binding, or replaces its id (and the extra keys given) if it is there already.
Result<std::string> bind(std::string_view text, Format format, const Target& target,
                         std::string_view name, std::string_view id, const ExtraKeys& extra = {});

/// Removes the binding; an error if the file (that environment) has none of this name.
Result<std::string> unbind(std::string_view text, Format format, const Target& target,
                           std::string_view name);

}  // namespace hyperdrive::core::wrangler
