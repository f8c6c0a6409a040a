// Errors of the origin that are passed on in other words.
//
// Pure.
#pragma once

#include <string>
#include <string_view>

#include "proxy/net/stream.hpp"

namespace hyperdrive::proxy::session::postgres {

/// The ErrorResponse with this body, whole, with another part in its message.
std::string retold(net::Bytes body, std::string_view old_part, std::string_view new_part);

}  // namespace hyperdrive::proxy::session::postgres
