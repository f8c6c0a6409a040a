// Random names and passwords from the system's generator (OpenSSL).
#pragma once

#include <cstddef>
#include <string>

#include "core/base/secret.hpp"

namespace hyperdrive::core {

/// 32 hexadecimal digits, as Cloudflare's config ids.
std::string random_id();
/// RFC 9562 version 4, as Cloudflare's certificate ids.
std::string random_uuid();
/// Letters and digits only: workerd does not percent-encode (shared/proxy.md "Shape").
Secret random_password(std::size_t length = 24);
/// Cryptographically strong bytes.
std::string random_bytes(std::size_t count);

}  // namespace hyperdrive::core
