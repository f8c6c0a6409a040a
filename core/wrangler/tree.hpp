// The meaning of a wrangler file, without positions: what an edit is checked against. Both formats
// give the same tree: objects, arrays, strings; every other scalar is a string behind a 0x01 byte,
// as written (JSON) or as toml++ prints it. Pure; any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "core/base/error.hpp"
#include "core/wrangler/binding.hpp"
#include "core/wrangler/edit.hpp"
#include "core/wrangler/format.hpp"
#include "core/wrangler/syntax.hpp"

namespace hyperdrive::core::wrangler {

/// toml++'s reading, or our own of JSONC; errors name line and column. The root is an object.
Result<nlohmann::json> parse_tree(std::string_view text, Format format, std::string_view file);

/// The same of a JSONC text that is scanned already.
nlohmann::json tree_of(const Node& node);

/// The tree after a bind: binding added, or its id and the extra keys replaced.
Result<nlohmann::json> with_binding(nlohmann::json tree, const Target& target,
                                    std::string_view name, std::string_view id,
                                    const ExtraKeys& extra);

/// The tree after an unbind.
Result<nlohmann::json> without_binding(nlohmann::json tree, const Target& target,
                                       std::string_view name);

/// The names of the target's bindings, in order (those that have one).
std::vector<std::string> binding_names(const nlohmann::json& tree, const Target& target);

/// Whether both say the same, an empty hyperdrive array or environment counting as none.
bool same_but_for_empty_containers(nlohmann::json a, nlohmann::json b, const Target& target);

}  // namespace hyperdrive::core::wrangler
