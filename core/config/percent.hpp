// Percent-encoding (RFC 3986) as JavaScript's decodeURIComponent reads it: the result must be
// UTF-8.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hyperdrive::core {

bool is_utf8(std::string_view text);
/// Nothing when an escape is malformed or the result is not UTF-8. '+' stays '+'.
std::optional<std::string> percent_decode(std::string_view text);
/// Everything but letters, digits and `-._~` becomes an escape.
std::string percent_encode(std::string_view text);

}  // namespace hyperdrive::core
