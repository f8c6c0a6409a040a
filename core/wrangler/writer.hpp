// How new text is written so that it looks like its surroundings: quotes, spaces, line breaks; and
// the edits that both formats share, those within a list of bindings. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/wrangler/binding.hpp"
#include "core/wrangler/format.hpp"
#include "core/wrangler/list_edit.hpp"
#include "core/wrangler/syntax.hpp"

namespace hyperdrive::core::wrangler {

/// The keys of a binding in the order to be written.
using Fields = std::vector<std::pair<std::string, std::string>>;
Fields fields_of(std::string_view name, std::string_view id, const ExtraKeys& extra);

struct Writer {
  Format format = Format::kJsonc;
  Habits habits;
  std::string assign;  ///< between key and value: `: `, ` = `
  std::string pad;     ///< within the braces of a one-line object

  std::string quoted(std::string_view value) const;
  std::string key(std::string_view name) const;
  std::string field(std::string_view key, std::string_view value) const;
  /// A binding on one line: `{ "binding": "DB", "id": "…" }`.
  std::string inline_object(const Fields& fields, const std::string& padding) const;
  /// A JSON binding over several lines, its closing brace at `indentation`.
  std::string block_object(const Fields& fields, const std::string& indentation,
                           const std::string& inner) const;
};

/// The last binding of that name in an array, or nullptr.
const Item* find_binding(const Node& array, std::string_view name);
/// The last member of an object or inline table with exactly this key, or nullptr.
const Item* find_member(const Node& table, std::string_view key);

/// New id and extra keys for a binding written as an object: values replaced, missing keys added.
Plan replace_fields(std::string_view text, const Writer& writer, const Node& object,
                    const Fields& fields);
/// The value's new text, in the quotes that it has.
std::string replaced_string(std::string_view text, const Writer& writer, const Node& value,
                            std::string_view wanted);
/// A further binding in an array, as its siblings are written.
Plan append_binding(std::string_view text, const Writer& writer, const Node& array,
                    const Fields& fields);

/// An item on the way from the file's root to a binding: item `index` of `list`.
struct Link {
  const Node* list = nullptr;
  std::size_t index = 0;
};

/// Plans that remove the binding at the chain's end, the most sweeping first (with all containers
/// that hold nothing else), the last one always the mere binding.
std::vector<Plan> chain_removals(std::string_view text, Format format,
                                 const std::vector<Link>& chain);

/// What else a binding says: its string keys but for `binding` and `id`, in the file's order.
ExtraKeys extra_keys_of(const Node& object);

}  // namespace hyperdrive::core::wrangler
