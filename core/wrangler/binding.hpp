// A Hyperdrive binding as a wrangler file declares it, and the names it may have. Plain values.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hyperdrive::core::wrangler {

struct Binding {
  std::string environment;  ///< empty: the top level
  std::string name;         ///< the `binding` key: what the Worker sees as env.NAME
  std::string id;           ///< empty if the file gives none
  std::optional<std::string> local_connection_string;
  std::size_t line = 0;  ///< of the stanza's begin, from 1
};

/// Further string keys of a binding in the order to be written, e.g. localConnectionString.
using ExtraKeys = std::vector<std::pair<std::string, std::string>>;

inline constexpr std::string_view kDefaultBindingName = "HYPERDRIVE";

/// The JavaScript identifier that wrangler makes of a name (its getValidBindingName): white space
/// and `-` become `_`, what is not a letter, digit or `_` goes, runs of `_` shrink to one, a digit
/// in front gets a `_` before it; if nothing but `_` is left, HYPERDRIVE.
std::string valid_binding_name(std::string_view wanted);

}  // namespace hyperdrive::core::wrangler
