// The hashes that logins need, over OpenSSL, without an algorithm lookup per call.
#pragma once

#include <array>
#include <string>

#include "core/base/secret.hpp"
#include "proxy/wire/postgres/protocol.hpp"

namespace hyperdrive::proxy::wire::postgres {

using Sha256 = std::array<char, 32>;

inline Bytes view(const Sha256& hash) { return {hash.data(), hash.size()}; }

Sha256 sha256(Bytes data);
/// SHA-256 of the concatenation, keyed as RFC 2104 says.
Sha256 hmac_sha256(Bytes key, Bytes data);
/// PBKDF2-HMAC-SHA-256 with 32 bytes of output (Hi() of RFC 5802). About 0.25 µs a round.
Sha256 pbkdf2_sha256(Bytes password, Bytes salt, int rounds);
/// Does not tell by its duration where two strings of equal size differ.
bool equal_constant_time(Bytes a, Bytes b);
/// From the system's generator; the process ends if that has none to give.
std::string random_bytes(std::size_t count);

/// The text of an MD5 PasswordMessage: "md5" + md5(md5(password + user) + salt). Empty where this
/// machine's OpenSSL refuses MD5 (FIPS).
std::string md5_password(const core::Secret& password, Bytes user, Bytes salt);

}  // namespace hyperdrive::proxy::wire::postgres
