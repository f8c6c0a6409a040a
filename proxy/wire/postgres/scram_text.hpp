// Reading the comma-separated attributes of SCRAM messages (RFC 5802 section 7). Internal to the
// two sides of scram.hpp.
#pragma once

#include <optional>
#include <string>

#include "proxy/wire/postgres/protocol.hpp"

namespace hyperdrive::proxy::wire::postgres::scram {

/// Messages of either side are refused over this size: the longest sensible ones have some 300
/// bytes.
inline constexpr std::size_t kMaxMessage = 8192;
inline constexpr Bytes kPlusHeader = "p=tls-server-end-point,,";

/// Takes "`name`=value" off the front of `message`, up to the next comma; nothing if it is not
/// there.
std::optional<Bytes> take_attribute(Bytes& message, char name);

/// Printable ASCII without a comma, not empty.
bool valid_nonce(Bytes nonce);
/// 18 random bytes in base64: no comma, 24 characters.
std::string make_nonce();

/// The value of the final messages' `c`: the GS2 header, and with PLUS the binding behind it.
std::string encode_binding(Bytes gs2_header, Bytes channel_binding);

}  // namespace hyperdrive::proxy::wire::postgres::scram
