// The literal-blind form of a text: texts of one form have the same analysis, whatever their
// literals, provided the analysis says `literal_blind`.
//
// Plain strings without an input word become one byte, integers and decimals likewise, comments
// another. All else stays as it is: names, parameters, special strings (E'', U&'', $$…$$), numbers
// with exponents, strings that hold `now` and its like, comments that speak to hyperdrive. So two
// texts of one form differ only in what the analysis never looks at. About a nanosecond a byte.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hyperdrive::proxy::sql {

/// Writes the form into `out` (its old content is dropped). False if the text has none: it is
/// unterminated, holds control bytes, or joins strings across lines.
bool write_class_key(std::string_view text, std::string& out);

}  // namespace hyperdrive::proxy::sql
