// Errors of the origin: what they tell, and those that are passed on in other words.
//
// Pure.
#pragma once

#include <string>
#include <string_view>

#include "proxy/net/stream.hpp"

namespace hyperdrive::proxy::session::postgres {

/// The ErrorResponse with this body, whole, with another part in its message.
std::string retold(net::Bytes body, std::string_view old_part, std::string_view new_part);

/// Whether it says that the grammar does not know the text which the client has sent, so that
/// nothing of it has run; not a text that code of the origin's has made.
bool is_about_text(net::Bytes error_body);

}  // namespace hyperdrive::proxy::session::postgres
