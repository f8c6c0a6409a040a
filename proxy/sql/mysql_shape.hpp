// Texts that differ in nothing but the values written into them have the same shape, and one
// analysis: programs that put values into their texts send few shapes and ever new texts.
//
// A shape keeps everything that the analysis of a SELECT, INSERT, UPDATE, DELETE, REPLACE, WITH,
// VALUES or TABLE looks at: words, quoted names, symbols, blanks. Numbers and strings become one
// byte each. Whatever makes that doubtful (comments, names in double quotes, variables, bytes that
// may be something else in their character set) has no shape. Pure; a few nanoseconds a word.
#pragma once

#include <string>
#include <string_view>

#include "proxy/sql/mysql_lexer.hpp"

namespace hyperdrive::proxy::sql {

/// Longer texts have no shape.
inline constexpr std::size_t kMaxShapedText = 4096;

/// Appends the shape of `text`; false: it has none (something may have been appended). Shapes of
/// texts that are read in different ways do not compare.
bool append_mysql_shape(std::string& out, std::string_view text, MysqlLexing lexing);

}  // namespace hyperdrive::proxy::sql
