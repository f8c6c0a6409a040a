// What both scanners give: the values of a file with the byte positions of every part, and the
// plan of an edit as replacements of byte ranges. Plain values.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"

namespace hyperdrive::core::wrangler {

inline constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

/// Bytes [begin, end) of the text.
struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
};

struct Item;

/// A value. For arrays and tables `span` includes the brackets, `items` are in the file's order.
struct Node {
  enum class Kind { kString, kScalar, kArray, kTable };
  Kind kind = Kind::kScalar;
  Span span;
  std::string text;  ///< a string decoded; a scalar (number, true, null, date) as written
  std::vector<Item> items;
};

/// An element of an array, or `key = value` of a table; then `span` covers key and value.
struct Item {
  Span span;
  std::vector<std::string> key;  ///< decoded; more than one part for a dotted key; empty in arrays
  Span key_span;
  Node value;
  std::size_t comma = kNowhere;  ///< of the comma that follows it, if one does
};

/// One replacement: `remove` bytes at `at` give way to `insert`.
struct Edit {
  std::size_t at = 0;
  std::size_t remove = 0;
  std::string insert;
};

/// Replacements in ascending order that do not overlap.
using Plan = std::vector<Edit>;

std::string apply_plan(std::string_view text, const Plan& plan);

/// Deeper nesting than this is refused: scanners recurse.
inline constexpr int kMaxDepth = 200;

/// `file:line:column: what`, both from 1, the column in bytes… of the place `at`.
tl::unexpected<Error> syntax_error(std::string_view text, std::string_view file, std::size_t at,
                                   const std::string& what);

/// 1 for the first line.
std::size_t line_of(std::string_view text, std::size_t at);

/// The line ending in use: that of the first line, `\n` if there is only one line.
std::string_view newline_of(std::string_view text);

/// The white space between the begin of the line and `at`, or nothing if something else is there.
std::string indentation_before(std::string_view text, std::size_t at);
/// Whether only white space stands between the begin of the line and `at` (not on the first line
/// of the text unless `at` is its begin: a byte order mark counts as white space).
bool begins_line(std::string_view text, std::size_t at);

}  // namespace hyperdrive::core::wrangler
