// A lossless scanner of TOML: the statements of a text with their byte positions.
//
// It does not judge: toml++ has parsed the text before. What it cannot follow it refuses, and so
// the edit is refused. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/wrangler/syntax.hpp"

namespace hyperdrive::core::wrangler {

using Path = std::vector<std::string>;

/// A `[table]` or `[[array]]` header, or a `key = value`.
struct Statement {
  enum class Kind { kTable, kArray, kKeyValue };
  Kind kind = Kind::kKeyValue;
  Span span;    ///< without a comment behind it, without the line's end
  Path header;  ///< of a header: its own path; of a key: the path of the table it stands in
  Item item;    ///< of a key
};

Result<std::vector<Statement>> scan_toml(std::string_view text, std::string_view file);

/// The comments within a part of the text that holds no value: `#` to the line's end.
std::vector<Span> toml_comments(std::string_view text, Span part);

bool starts_with(const Path& path, const Path& prefix);

}  // namespace hyperdrive::core::wrangler
