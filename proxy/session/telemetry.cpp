#include "proxy/session/telemetry.hpp"

namespace hyperdrive::proxy::session {

std::string_view name(Counter counter) {
  static constexpr std::array<std::string_view, kCounterCount> kNames = {"queries",
                                                                         "transactions",
                                                                         "client_connects",
                                                                         "client_logins",
                                                                         "clients_refused",
                                                                         "login_failures",
                                                                         "origin_connects",
                                                                         "origin_connect_failures",
                                                                         "origin_disconnects",
                                                                         "round_trips",
                                                                         "errors",
                                                                         "wait_timeouts",
                                                                         "query_timeouts",
                                                                         "write_timeouts",
                                                                         "cancels",
                                                                         "cancels_dropped",
                                                                         "bytes_from_clients",
                                                                         "bytes_to_clients",
                                                                         "bytes_from_origin",
                                                                         "bytes_to_origin",
                                                                         "parses_saved",
                                                                         "parses_injected",
                                                                         "statements_evicted",
                                                                         "plans_changed",
                                                                         "settings_applied",
                                                                         "retries",
                                                                         "begins_folded"};
  return kNames[static_cast<std::size_t>(counter)];
}

std::string_view name(Feature feature) {
  static constexpr std::array<std::string_view, kFeatureCount> kNames = {"set",
                                                                         "listen",
                                                                         "prepare",
                                                                         "temp_table",
                                                                         "advisory_lock",
                                                                         "hold_cursor",
                                                                         "set_config",
                                                                         "sequence",
                                                                         "load",
                                                                         "unknown",
                                                                         "user_variable",
                                                                         "table_lock",
                                                                         "last_statement",
                                                                         "multi_statements",
                                                                         "use"};
  return kNames[static_cast<std::size_t>(feature)];
}

void HistogramSum::add(const Histogram& histogram) {
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    const std::uint64_t n = histogram.buckets_[i].load(std::memory_order_relaxed);
    buckets[i] += n;
    count += n;
  }
  sum += histogram.sum_.load(std::memory_order_relaxed);
  max = std::max(max, histogram.max_.load(std::memory_order_relaxed));
}

std::uint64_t HistogramSum::quantile(double share) const {
  if (count == 0) return 0;
  const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(count));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    seen += buckets[i];
    if (seen <= wanted) continue;
    if (i < 8) return i;
    const std::size_t exponent = i / 8 - 1;
    const std::uint64_t edge = ((i % 8 + 9) << exponent) - 1;
    return std::min(edge, max);
  }
  return max;
}

Telemetry::Telemetry(std::size_t workers) {
  for (std::size_t i = 0; i < workers; ++i) {
    workers_.push_back(std::make_unique<WorkerTelemetry>());
  }
}

TelemetrySnapshot Telemetry::snapshot() const {
  TelemetrySnapshot sum;
  const auto add = [](auto& into, const auto& from) {
    for (std::size_t i = 0; i < into.size(); ++i) {
      into[i] += from[i].load(std::memory_order_relaxed);
    }
  };
  for (const auto& worker : workers_) {
    add(sum.counters, worker->counters_);
    add(sum.pins, worker->pins_);
    add(sum.refusals, worker->refusals_);
    add(sum.production_refusals, worker->production_refusals_);
    add(sum.lost, worker->lost_);
    sum.query.add(worker->query);
    sum.hit.add(worker->hit);
    sum.origin.add(worker->origin);
    sum.wait.add(worker->wait);
  }
  return sum;
}

}  // namespace hyperdrive::proxy::session
