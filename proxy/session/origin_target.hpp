// Where an origin is and how to reach it: what both protocols need. Made once from a config and
// shared, read-only, by all threads; the protocols derive from it what only they need.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/base/secret.hpp"
#include "core/config/config.hpp"
#include "proxy/net/tls.hpp"

namespace hyperdrive::proxy::session {

struct BaseTarget {
  core::Scheme scheme = core::Scheme::kPostgresql;
  std::string host;
  std::uint16_t port = 0;
  std::string user;
  core::Secret password;
  std::string database;
  core::SslMode mode = core::SslMode::kPrefer;  ///< never kDefault
  std::shared_ptr<net::TlsContext> tls;         ///< null with kDisable
  bool verifies_certificate = false;
  std::chrono::milliseconds connect_timeout{15'000};

  /// For people: "db.example.com:5432", "[::1]:3306".
  std::string place() const;
  /// "Postgres" or "MySQL".
  std::string_view protocol() const;
  /// The word that --sslmode takes for `mode` with this scheme.
  std::string_view word(core::SslMode mode) const;
};

/// Reads the certificates; the mode kDefault becomes `prefer` for a loopback origin, else
/// `require`. A CA makes `require` verify it, as libpq does.
core::Result<BaseTarget> make_base_target(const core::Config& config,
                                          const core::Certificates& certificates);

}  // namespace hyperdrive::proxy::session
