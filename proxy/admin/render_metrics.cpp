#include <fmt/format.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <initializer_list>
#include <utility>

#include "proxy/admin/render.hpp"

namespace hyperdrive::proxy::admin {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

using Labels = std::vector<ClientMetric::Label>;

class Families {
 public:
  MetricFamily& add(const char* name, const char* help, MetricType type) {
    MetricFamily& family = families_.emplace_back();
    family.name = std::string("hyperdrive_") + name;
    family.help = help;
    family.type = type;
    return family;
  }
  void gauge(const char* name, const char* help, std::uint64_t value) {
    ClientMetric metric;
    metric.gauge.value = static_cast<double>(value);
    add(name, help, MetricType::Gauge).metric.push_back(std::move(metric));
  }
  void counter(const char* name, const char* help, std::uint64_t value) {
    count(add(name, help, MetricType::Counter), value);
  }
  static void count(MetricFamily& family, std::uint64_t value, Labels labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.counter.value = static_cast<double>(value);
    family.metric.push_back(std::move(metric));
  }
  /// Seconds, as Prometheus wants them.
  static void summary(MetricFamily& family, const char* part, const Latency& latency) {
    constexpr double kMicrosecond = 1e-6;
    ClientMetric metric;
    metric.label = {{"part", part}};
    metric.summary.sample_count = latency.count;
    metric.summary.sample_sum = static_cast<double>(latency.sum) * kMicrosecond;
    const std::pair<double, std::uint64_t> quantiles[] = {
        {0.5, latency.p50}, {0.9, latency.p90}, {0.99, latency.p99}, {1, latency.max}};
    for (const auto& [quantile, value] : quantiles) {
      metric.summary.quantile.push_back({quantile, static_cast<double>(value) * kMicrosecond});
    }
    family.metric.push_back(std::move(metric));
  }
  void reasons(const char* name, const char* help, const Reasons& reasons) {
    MetricFamily& family = add(name, help, MetricType::Counter);
    for (const auto& [reason, value] : reasons) count(family, value, {{"reason", reason}});
  }
  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  std::vector<MetricFamily> families_;
};

void add_cache(Families& families, const CacheStats& cache) {
  MetricFamily& statuses =
      families.add("cache_queries_total", "Queries by what the cache did.", MetricType::Counter);
  for (std::size_t i = 0; i < kCacheStatuses.size(); ++i) {
    Families::count(statuses, cache.by_status[i], {{"status", std::string(kCacheStatuses[i])}});
  }
  families.counter("cache_stale_hits_total", "Hits that a write seen here had made stale.",
                   cache.stale_hits);
  families.gauge("cache_bytes", "Bytes that the cache holds.", cache.bytes);
  families.gauge("cache_entries", "Answers that the cache holds.", cache.entries);
  families.counter("cache_evictions_total", "Answers evicted for room.", cache.evictions);
  families.counter("cache_coalesced_total", "Misses that waited for another's answer.",
                   cache.coalesced);
  families.counter("cache_purges_total", "Purges.", cache.purges);
  families.counter("cache_verified_total", "Hits checked against the origin.", cache.verified);
  families.counter("cache_verified_stale_total", "Checked hits that differed.",
                   cache.verified_stale);
  families.counter("cache_refreshes_total", "Stale answers asked for again in the background.",
                   cache.refreshes);
  families.counter("cache_refresh_failures_total", "Background refreshes that brought no answer.",
                   cache.refresh_failures);
  families.counter("cache_invalid_hints_total",
                   "Statements with a control comment that was not understood.",
                   cache.invalid_hints);
  families.counter("cache_shared_hits_total",
                   "Answers that another proxy had put into the shared tier.", cache.shared_hits);
}

}  // namespace

std::string prometheus_text(const Status& status, const Stats& stats) {
  Families families;
  ClientMetric info;
  info.label = {{"name", status.name}, {"id", status.id}, {"version", status.version}};
  info.gauge.value = 1;
  families.add("info", "The proxy's config and version.", MetricType::Gauge).metric.push_back(info);
  families.gauge("draining", "1 while no new clients are accepted.", status.draining ? 1 : 0);
  families.gauge("clients", "Clients connected.", stats.gauges.clients);
  families.gauge("origin_connections", "Connections to the origin.",
                 stats.gauges.origin_connections);
  families.gauge("origin_connections_idle", "Of these, idle ones.", stats.gauges.idle);
  families.gauge("waiting", "Clients that wait for an origin connection.", stats.gauges.waiting);
  for (const auto& [name, value] : stats.counters) {
    families.counter(fmt::format("{}_total", name).c_str(), "See docs/admin-api.md.", value);
  }
  MetricFamily& latency =
      families.add("latency_seconds", "Latency of queries, by part.", MetricType::Summary);
  Families::summary(latency, "query", stats.query);
  Families::summary(latency, "hit", stats.hit);
  Families::summary(latency, "origin", stats.origin);
  Families::summary(latency, "wait", stats.wait);
  families.reasons("pins_total", "Sessions that kept their connection.", stats.pins);
  families.reasons("refusals_total", "Statements refused as production does.", stats.refusals);
  families.reasons("refused_in_production_total",
                   "Statements that work here and are refused in production.",
                   stats.refused_in_production);
  families.reasons("lost_settings_total", "Settings that ended with their transaction.",
                   stats.lost);
  add_cache(families, stats.cache);
  return families.text();
}

}  // namespace hyperdrive::proxy::admin
