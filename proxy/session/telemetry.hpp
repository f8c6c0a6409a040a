// What a proxy counts and tells about its queries: counters, latencies, events.
//
// One Telemetry per process, one WorkerTelemetry per worker thread in it. Only the worker writes
// its block (plain load and store of relaxed atomics, no locked instruction); any thread may read.
// Events cost one relaxed load when nobody listens. The JSON of all this is proxy/admin's
// (docs/admin-api.md).
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"

namespace hyperdrive::proxy::session {

enum class Counter : std::uint8_t {
  kQueries,         ///< statements answered: simple Query messages and Executes
  kTransactions,    ///< ReadyForQuery 'I' from the origin after work
  kClientConnects,  ///< accepted
  kClientLogins,
  kClientsRefused,  ///< over max_clients, or while draining
  kLoginFailures,
  kOriginConnects,
  kOriginConnectFailures,
  kOriginDisconnects,  ///< closed by the origin or broken, not retired by the pool
  kRoundTrips,         ///< client groups for which the origin was waited for
  kErrors,             ///< ErrorResponses to clients
  kWaitTimeouts,
  kQueryTimeouts,
  kWriteTimeouts,
  kCancels,         ///< forwarded
  kCancelsDropped,  ///< unknown key, nothing running, or over the rate
  kBytesFromClients,
  kBytesToClients,
  kBytesFromOrigin,
  kBytesToOrigin,
  kParsesSaved,     ///< client Parses answered without the origin
  kParsesInjected,  ///< statements parsed ahead on a connection that lacked them
  kStatementsEvicted,
  kPlansChanged,     ///< 0A000 answered because a re-parsed statement has another shape
  kSettingsApplied,  ///< leases that began with a settings diff
  kRetries,          ///< groups sent again because their connection was dead before any answer
  kBeginsFolded,
  kCount,
};
inline constexpr std::size_t kCounterCount = static_cast<std::size_t>(Counter::kCount);
std::string_view name(Counter counter);  ///< "queries", "client_connects" …

/// Session state that outlives a transaction, as pins, refusals and losses are counted by.
enum class Feature : std::uint8_t {
  kSet,
  kListen,
  kPrepare,
  kTempTable,
  kAdvisoryLock,
  kHoldCursor,
  kSetConfig,
  kSequence,  ///< currval() and lastval() without nextval() in the same transaction
  kLoad,
  kUnknown,
  // MySQL's:
  kUserVariable,
  kTableLock,
  kLastStatement,    ///< FOUND_ROWS(), SHOW WARNINGS … of a statement that ran elsewhere
  kMultiStatements,  ///< refused in production only
  kUse,              ///< likewise
  kCount,
};
inline constexpr std::size_t kFeatureCount = static_cast<std::size_t>(Feature::kCount);
std::string_view name(Feature feature);  ///< "set", "listen", "temp_table" …

/// Microseconds in buckets of at most 12.5 % width (8 a power of two), up to 71 minutes.
class Histogram {
 public:
  void add(std::uint64_t micros) {
    bump(buckets_[index(micros)]);
    sum_.store(sum_.load(std::memory_order_relaxed) + micros, std::memory_order_relaxed);
    if (micros > max_.load(std::memory_order_relaxed)) {
      max_.store(micros, std::memory_order_relaxed);
    }
  }

  static constexpr std::size_t kBuckets = 8 * 30;

 private:
  friend struct HistogramSum;
  static std::size_t index(std::uint64_t value) {
    if (value < 8) return value;
    const unsigned exponent = static_cast<unsigned>(std::bit_width(value)) - 4;
    const std::size_t at = (exponent + 1) * 8 + ((value >> exponent) - 8);
    return at < kBuckets ? at : kBuckets - 1;
  }
  static void bump(std::atomic<std::uint64_t>& value) {
    value.store(value.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  std::array<std::atomic<std::uint64_t>, kBuckets> buckets_{};
  std::atomic<std::uint64_t> sum_ = 0;
  std::atomic<std::uint64_t> max_ = 0;
};

/// Several workers' histograms added up.
struct HistogramSum {
  std::array<std::uint64_t, Histogram::kBuckets> buckets{};
  std::uint64_t count = 0;
  std::uint64_t sum = 0;
  std::uint64_t max = 0;

  void add(const Histogram& histogram);
  /// Upper edge of the bucket that holds this share (0-1); 0 when empty.
  std::uint64_t quantile(double share) const;
};

/// An error of the proxy's own that listeners are still to hear of.
struct UntoldError {
  std::string sqlstate;
  std::string message;
};

/// A QueryEvent's `status` where the proxy answered with an error of its own.
inline constexpr std::string_view kRefused = "refused";

struct QueryEvent {
  std::chrono::system_clock::time_point at;
  std::uint64_t client = 0;
  std::string sql;
  std::string command;  ///< the tag's words: "SELECT", "CREATE TABLE"
  std::string status;   ///< Cloudflare's cache status; "disabled" without a cache; kRefused
  std::string reason;
  std::uint64_t duration_us = 0;  ///< as the client felt it: the wait is in it
  std::uint64_t origin_us = 0;
  std::uint64_t wait_us = 0;
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  std::uint64_t age_us = 0;  ///< of a cached answer
  std::vector<std::string> tables_written;
  std::string sqlstate;  ///< empty: no error
  std::string error;
  std::string pinned;
  std::string refused_in_production;
};

struct SessionEvent {
  std::chrono::system_clock::time_point at;
  bool connected = true;
  std::uint64_t client = 0;
  std::string user;
  std::string application_name;
  std::string reason;
  std::uint64_t clients = 0;
};

struct OriginEvent {
  std::chrono::system_clock::time_point at;
  std::string event;  ///< "connect_failed"
  core::Error error;
};

/// Where events go: proxy/server hands them to the admin's hub. publish() may be called by any
/// worker at any time.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual bool listening() const = 0;  ///< one relaxed load
  virtual void publish(QueryEvent event) = 0;
  virtual void publish(SessionEvent event) = 0;
  virtual void publish(OriginEvent event) = 0;
};

class alignas(64) WorkerTelemetry {
 public:
  void add(Counter counter, std::uint64_t n = 1) { bump(counters_[at(counter)], n); }
  void pinned(Feature feature) { bump(pins_[at(feature)], 1); }
  void refused(Feature feature) { bump(refusals_[at(feature)], 1); }
  /// It works here, and not in production.
  void production_refuses(Feature feature) { bump(production_refusals_[at(feature)], 1); }
  void lost(Feature feature) { bump(lost_[at(feature)], 1); }

  Histogram query;   ///< a statement as its client felt it
  Histogram hit;     ///< the part answered from the cache
  Histogram origin;  ///< the time at the origin
  Histogram wait;    ///< for an origin connection, where there was a wait

 private:
  friend class Telemetry;
  template <class Enum>
  static std::size_t at(Enum value) {
    return static_cast<std::size_t>(value);
  }
  static void bump(std::atomic<std::uint64_t>& value, std::uint64_t n) {
    value.store(value.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::array<std::atomic<std::uint64_t>, kCounterCount> counters_{};
  std::array<std::atomic<std::uint64_t>, kFeatureCount> pins_{};
  std::array<std::atomic<std::uint64_t>, kFeatureCount> refusals_{};
  std::array<std::atomic<std::uint64_t>, kFeatureCount> production_refusals_{};
  std::array<std::atomic<std::uint64_t>, kFeatureCount> lost_{};
};

/// The sum over all workers at one moment.
struct TelemetrySnapshot {
  std::array<std::uint64_t, kCounterCount> counters{};
  std::array<std::uint64_t, kFeatureCount> pins{};
  std::array<std::uint64_t, kFeatureCount> refusals{};
  std::array<std::uint64_t, kFeatureCount> production_refusals{};
  std::array<std::uint64_t, kFeatureCount> lost{};
  HistogramSum query, hit, origin, wait;

  std::uint64_t operator[](Counter counter) const {
    return counters[static_cast<std::size_t>(counter)];
  }
};

class Telemetry {
 public:
  explicit Telemetry(std::size_t workers);

  WorkerTelemetry& worker(std::size_t index) { return *workers_[index]; }
  TelemetrySnapshot snapshot() const;

  /// Set once before the workers start; may stay null.
  void set_sink(EventSink* sink) { sink_ = sink; }
  bool listening() const { return sink_ != nullptr && sink_->listening(); }
  EventSink* sink() const { return sink_; }

  std::atomic<std::uint64_t> clients = 0;  ///< logged in or logging in

 private:
  std::vector<std::unique_ptr<WorkerTelemetry>> workers_;
  EventSink* sink_ = nullptr;
};

}  // namespace hyperdrive::proxy::session
