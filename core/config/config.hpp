// What a config is. Plain values, no I/O; both programs include this header, so it stays light.
//
// JSON shapes, validation and connection strings are in their own headers of this folder. Field
// names follow Cloudflare's REST API (shared/wrangler/cases); what only this tool has lies in
// LocalSettings.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/secret.hpp"

namespace hyperdrive::core {

enum class Scheme { kPostgres, kPostgresql, kMysql };

inline bool is_mysql(Scheme scheme) { return scheme == Scheme::kMysql; }
inline std::uint16_t default_port(Scheme scheme) { return is_mysql(scheme) ? 3306 : 5432; }

/// kDefault: not given by the user: `prefer` for a loopback origin, `require` for any other.
/// Postgres spells require/verify-ca/verify-full, MySQL REQUIRED/VERIFY_CA/VERIFY_IDENTITY.
enum class SslMode { kDefault, kDisable, kAllow, kPrefer, kRequire, kVerifyCa, kVerifyFull };

struct Origin {
  Scheme scheme = Scheme::kPostgresql;
  /// The scheme as written where wrangler takes more than the three (`postgresqlx://`); else empty.
  std::string scheme_text;
  std::string host;
  std::uint16_t port = 0;
  std::string database;
  std::string user;
  Secret password;
  // An origin behind Access or Workers VPC is reachable only from Cloudflare: stored, pushed.
  std::string service_id;
  std::string access_client_id;
  Secret access_client_secret;
  std::string application_name;  ///< from the connection string; empty: 'Hyperdrive'
};

struct Tls {
  SslMode mode = SslMode::kDefault;
  std::string ca_certificate_id;  ///< registry certificate id, or empty
  std::string mtls_certificate_id;
};

struct Caching {
  bool disabled = false;
  std::optional<int> max_age;                 ///< seconds, 0-3600; unset: 60
  std::optional<int> stale_while_revalidate;  ///< seconds, >= 0; unset: 15
};

inline constexpr int kDefaultMaxAge = 60;
inline constexpr int kDefaultStaleWhileRevalidate = 15;
inline constexpr int kDefaultOriginConnectionLimit = 20;

enum class Invalidation { kNone, kWrites, kReplication };
enum class SessionFeatures { kHyperdrive, kPin };

/// `--cache-rule 'TABLE:max-age=5'`: a table glob and what holds for queries that read such a
/// table.
struct CacheRule {
  std::string table;           ///< glob over `table` or `schema.table`
  std::optional<int> max_age;  ///< seconds
  std::optional<int> stale_while_revalidate;
  bool no_cache = false;
};

/// Beyond Cloudflare's API. Defaults are what `get --all` prints and docs/configuration.md lists.
struct LocalSettings {
  std::uint16_t local_port = 0;  ///< 0: chosen at create, then kept
  std::string local_user = "hyperdrive";
  Secret local_password;  ///< random, [A-Za-z0-9]{24}
  Invalidation invalidation = Invalidation::kNone;
  SessionFeatures session_features = SessionFeatures::kHyperdrive;
  std::uint64_t cache_size = 64ull << 20;  ///< bytes
  std::vector<CacheRule> cache_rules;
  std::string cache_url;  ///< redis://host:port/db without its password
  Secret cache_password;
  double verify_sample = 0;  ///< share of hits checked against the origin, 0-1
  std::chrono::milliseconds connect_timeout{15'000};
  std::chrono::milliseconds wait_timeout{15'000};
  std::chrono::milliseconds query_timeout{60'000};
  std::chrono::milliseconds idle_timeout{600'000};
  std::chrono::milliseconds max_lifetime{3'600'000};
  std::chrono::milliseconds client_write_timeout{60'000};
  std::chrono::milliseconds transaction_idle_timeout{0};  ///< 0: none
  std::chrono::milliseconds drain_timeout{30'000};
  int max_clients = 10'000;
  int prepared_statements = 256;  ///< kept per origin connection (LRU)
  int workers = 0;                ///< 0: chosen by the proxy (docs/decisions)
  bool fold_begin = false;
  int scram_rounds = 4096;  ///< of the local login
  std::string listen;       ///< address; empty: 127.0.0.1 and ::1
  std::string tls_cert_file;
  std::string tls_key_file;
  std::uint16_t admin_port = 0;  ///< 0: only the Unix socket
};

struct Config {
  std::string id;    ///< 32 hexadecimal digits
  std::string name;  ///< 1-63 bytes
  Origin origin;
  Tls tls;
  Caching caching;
  int origin_connection_limit = kDefaultOriginConnectionLimit;
  std::string created_on;  ///< RFC 3339, UTC, microseconds
  std::string modified_on;
  std::string remote_id;  ///< id at Cloudflare once pushed or pulled
  LocalSettings local;
};

/// Certificate material resolved from the registry, PEM; empty where not configured.
struct Certificates {
  std::string ca_pem;
  std::string client_pem;
  Secret client_key_pem;
};

/// What the CLI writes to the proxy's inherited pipe as one JSON document (core/config/launch.hpp
/// maps it): the whole config with its secrets, the certificates, and where things lie.
struct Launch {
  Config config;
  Certificates certificates;
  std::string admin_socket;       ///< path, at most 107 bytes
  std::string log_file;           ///< empty: standard error
  bool exit_with_parent = false;  ///< `dev`: drain and exit when the parent is gone
  std::vector<int> listen_fds;    ///< inherited listening sockets (restart); else empty
  int handover_fd = -1;           ///< restart: connected to the old proxy (handover.hpp)
  int lock_fd = -1;               ///< keep open while alive: it holds run/<id>.lock
  std::string handover_socket;    ///< listen here for the next restart (handover.hpp)
};

}  // namespace hyperdrive::core
