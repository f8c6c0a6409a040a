// What the admin API asks of the proxy, and the values that it shows (docs/admin-api.md).
//
// proxy/server implements AdminBackend. Every call comes from the admin thread, one at a time, and
// must not wait for a query; it may be made at any moment between AdminServer's construction and
// its destruction. The structs are plain values; the field names are the JSON's.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "proxy/session/telemetry.hpp"

namespace hyperdrive::proxy::admin {

using Clock = std::chrono::system_clock;

struct OriginStatus {
  std::string host;
  std::uint16_t port = 0;
  std::string database;
  std::string user;
  std::string server_version;  ///< empty until the first connection
  std::string tls;             ///< "TLSv1.3"; empty without, or until the first connection
  struct Failure {
    core::Error error;
    Clock::time_point at;
  };
  std::optional<Failure> last_error;  ///< of the last failed connection, until one succeeds
};

struct Gauges {
  std::uint64_t clients = 0;
  std::uint64_t origin_connections = 0;
  std::uint64_t idle = 0;
  std::uint64_t waiting = 0;
};

struct Status {
  std::string id;
  std::string name;
  std::string version;
  bool draining = false;
  std::string scheme;
  Clock::time_point started_at;
  std::uint16_t port = 0;
  std::vector<std::string> listen;
  std::string loop;  ///< "io_uring", "epoll"
  int workers = 0;
  std::string session_features;
  std::string invalidation;
  bool caching = true;
  std::vector<std::string> warnings;  ///< what the cache cannot see or reach just now, in words
  OriginStatus origin;
  Gauges gauges;
};

struct Readiness {
  bool ready = false;
  std::string reason;  ///< why not
};

/// Microseconds.
struct Latency {
  std::uint64_t count = 0;
  std::uint64_t sum = 0;
  std::uint64_t p50 = 0;
  std::uint64_t p90 = 0;
  std::uint64_t p99 = 0;
  std::uint64_t max = 0;
};
Latency latency_of(const session::HistogramSum& sum);

/// Cloudflare's names, in the order of `stats.cache`.
inline constexpr std::array<std::string_view, 13> kCacheStatuses = {
    "hit",         "miss",       "stale",          "disabled",
    "uncacheable", "volatile",   "transaction",    "multiplestatements",
    "notaquery",   "parseerror", "oversizedquery", "oversizedresult",
    "bypass"};

struct CacheStats {
  std::array<std::uint64_t, kCacheStatuses.size()> by_status{};  ///< as kCacheStatuses
  std::uint64_t stale_hits = 0;
  std::uint64_t bytes = 0;
  std::uint64_t entries = 0;
  std::uint64_t evictions = 0;
  std::uint64_t coalesced = 0;
  std::uint64_t origin_ms_saved = 0;
  std::uint64_t purges = 0;
  std::uint64_t verified = 0;
  std::uint64_t verified_stale = 0;
  std::uint64_t shared_hits = 0;
  std::uint64_t refreshes = 0;
  std::uint64_t refresh_failures = 0;
  std::uint64_t invalid_hints = 0;
};

using Reasons = std::map<std::string, std::uint64_t>;

struct Stats {
  Gauges gauges;
  /// Every counter of the session's telemetry by its name: "queries", "transactions" …
  std::vector<std::pair<std::string_view, std::uint64_t>> counters;
  Latency query;
  Latency hit;
  Latency origin;
  Latency wait;
  Reasons pins;
  Reasons refusals;
  Reasons refused_in_production;  ///< works here
  Reasons lost;
  CacheStats cache;

  /// All but the gauges and the cache's own figures.
  static Stats from(const session::TelemetrySnapshot& snapshot);
};

struct QueryClass {
  std::string sql;
  std::string status;  ///< of its latest query
  std::string reason;
  std::uint64_t count = 0;
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t stale = 0;
  std::uint64_t errors = 0;
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  Latency latency;
  Clock::time_point last_at;
};

struct Explanation {
  bool cacheable = false;
  std::string status;
  std::string reason;
  std::vector<std::string> tables;
  std::vector<std::string> functions;
  std::vector<std::string> invalid_hints;  ///< of its control comment: ignored
  std::string production_status;           ///< what Cloudflare's cache would do
  std::string production_reason;           ///< why, where it differs
};

/// What to drop from the cache.
struct Purge {
  enum class What { kAll, kTable, kTag, kQuery } what = What::kAll;
  std::string name;  ///< table, tag or SQL
};

struct Purged {
  std::uint64_t entries = 0;
  std::string warning;  ///< where it does not hold yet, for people; empty: everywhere
};

struct Reloaded {
  std::vector<std::string> changed;  ///< the names of what holds at once
  std::vector<std::string> restart;  ///< of what waits for a new process
};

// --- the proxy, seen from the admin thread ---

class AdminBackend {
 public:
  virtual ~AdminBackend() = default;

  virtual Status status() = 0;
  virtual Readiness readiness() = 0;
  virtual Stats stats() = 0;
  /// The config in use as JSON (core::all_json): no secret in it.
  virtual std::string config_json() = 0;
  virtual core::Result<Explanation> explain(const std::string& sql) = 0;
  /// How many entries were dropped.
  virtual core::Result<Purged> purge(const Purge& purge) = 0;
  /// All or nothing.
  virtual core::Result<Reloaded> reload(std::string_view launch_json) = 0;
  virtual void drain(std::optional<std::chrono::milliseconds> timeout) = 0;
};

}  // namespace hyperdrive::proxy::admin
