// Connection strings: `postgres|postgresql|mysql://user:password@host[:port]/database[?params]`.
//
// Read as wrangler reads them (WHATWG URL of a non-special scheme, then decodeURIComponent: '@' in
// a password, spaces, '^', UTF-8 pass; surrounding blanks go), but query parameters are kept, IPv6
// loses its brackets, and what cannot be read is explained without ever repeating the password.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/config/config.hpp"

namespace hyperdrive::core {

struct ConnectionString {
  Origin origin;
  SslMode ssl_mode = SslMode::kDefault;  ///< `sslmode` / `ssl-mode`
  std::string ssl_root_certificate;      ///< `sslrootcert`: a path to a PEM file, or `system`
  std::optional<std::chrono::milliseconds> connect_timeout;
  std::vector<std::string> warnings;  ///< unknown parameters and the like, for standard error
};

Result<ConnectionString> parse_connection_string(std::string_view text);

/// As a URL that `parse_connection_string` reads back, the password included.
Secret connection_string(const Origin& origin);

/// What a Worker or psql connects to: `postgresql://user:password@127.0.0.1:PORT/database`. Holds
/// the local login, which is meant to be shown by `url` and `env` only.
Secret local_connection_string(const Config& config);
/// The same without the password, for messages and tables.
std::string local_address(const Config& config);

}  // namespace hyperdrive::core
