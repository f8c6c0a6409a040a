// Adding to and taking from a bracketed list: JSON arrays and objects, TOML arrays and inline
// tables. Where commas, comments, line breaks and indentation go is decided here, once for all.
//
// Adding and taking away are made for each other: what `append_item` adds, one of the plans of
// `removals` takes away byte for byte. An item that goes into an empty list is set in a way that no
// list made by us with its first item is ([{…}] is ours, [ {…} ] was [] before), so that
// a later removal can tell whether the list itself was there before. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/wrangler/format.hpp"
#include "core/wrangler/syntax.hpp"

namespace hyperdrive::core::wrangler {

/// How the items of a list stand.
struct Layout {
  bool lines = false;       ///< each on a line of its own
  std::string indentation;  ///< of an item, if `lines`
  std::string gap;          ///< between a comma and the next item, if not `lines`
};

/// What a list without enough items of its own goes by.
struct Habits {
  std::string newline = "\n";
  std::string unit = "  ";  ///< one step of indentation
  std::string gap = " ";
};

Layout layout_of(std::string_view text, Format format, const Node& list, const Habits& habits);

/// Adds an item, rendered for this layout, at the list's end.
Plan append_item(std::string_view text, Format format, const Node& list, const Layout& layout,
                 const Habits& habits, const std::string& item);

/// Ways to take item `index` away, the first one the best for a list that a person wrote.
std::vector<Plan> removals(std::string_view text, Format format, const Node& list,
                           std::size_t index);

/// The comments in a part of the text, whatever else is in it (JSON) or that holds no value (TOML).
std::vector<Span> comments_in(std::string_view text, Format format, Span part);

}  // namespace hyperdrive::core::wrangler
