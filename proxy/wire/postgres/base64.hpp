// Base64 as RFC 4648 section 4 has it, strictly: padding required, no white space, no stray bits.
#pragma once

#include <optional>
#include <string>

#include "proxy/wire/postgres/protocol.hpp"

namespace hyperdrive::proxy::wire::postgres {

std::string base64_encode(Bytes bytes);
/// Nothing when `text` is not exactly what base64_encode would have written.
std::optional<std::string> base64_decode(Bytes text);

}  // namespace hyperdrive::proxy::wire::postgres
