// Passwords on the wire: what clients answer to a scramble, and how a server checks it from what it
// keeps instead of the password. Pure functions; an empty password is answered by an empty string
// everywhere.
#pragma once

#include <string>

#include "core/base/error.hpp"
#include "core/base/secret.hpp"
#include "proxy/wire/mysql/protocol.hpp"

namespace hyperdrive::proxy::wire::mysql {

/// What the local login keeps: the doubled hashes of both plugins, never the password.
struct PasswordVerifier {
  std::string sha1_twice;    ///< mysql_native_password
  std::string sha256_twice;  ///< caching_sha2_password
  static PasswordVerifier of(const core::Secret& password);
};

/// 20 bytes, none of them zero or '$', all below 0x80 (MySQL's own rule).
std::string make_scramble();

std::string native_password(const core::Secret& password, Bytes scramble);
bool check_native_password(const PasswordVerifier& verifier, Bytes scramble, Bytes answer);

/// The fast path; where the server does not know the password yet it asks for the full one.
std::string caching_sha2_password(const core::Secret& password, Bytes scramble);
bool check_caching_sha2_password(const PasswordVerifier& verifier, Bytes scramble, Bytes answer);

/// caching_sha2's full path without TLS: the password under the server's RSA key (OAEP). The key
/// must have come over a trusted way: who sits in between can send one of his own.
core::Result<std::string> rsa_password(const core::Secret& password, Bytes scramble, Bytes key_pem);
/// The full path inside TLS, and mysql_clear_password: with a zero behind.
std::string clear_password(const core::Secret& password);

/// MariaDB's client_ed25519: the signature of `scramble` (32 bytes), 64 bytes.
std::string ed25519_password(const core::Secret& password, Bytes scramble);

}  // namespace hyperdrive::proxy::wire::mysql
