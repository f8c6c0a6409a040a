#include "proxy/admin/backend.hpp"

namespace hyperdrive::proxy::admin {
namespace {

template <class Counts>
Reasons reasons(const Counts& counts) {
  Reasons reasons;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    reasons.emplace(session::name(static_cast<session::Feature>(i)), counts[i]);
  }
  return reasons;
}

}  // namespace

Latency latency_of(const session::HistogramSum& sum) {
  return {sum.count, sum.sum, sum.quantile(0.5), sum.quantile(0.9), sum.quantile(0.99), sum.max};
}

Stats Stats::from(const session::TelemetrySnapshot& snapshot) {
  Stats stats;
  for (std::size_t i = 0; i < session::kCounterCount; ++i) {
    stats.counters.emplace_back(session::name(static_cast<session::Counter>(i)),
                                snapshot.counters[i]);
  }
  stats.query = latency_of(snapshot.query);
  stats.hit = latency_of(snapshot.hit);
  stats.origin = latency_of(snapshot.origin);
  stats.wait = latency_of(snapshot.wait);
  stats.pins = reasons(snapshot.pins);
  stats.refusals = reasons(snapshot.refusals);
  stats.refused_in_production = reasons(snapshot.production_refusals);
  stats.lost = reasons(snapshot.lost);
  return stats;
}

}  // namespace hyperdrive::proxy::admin
