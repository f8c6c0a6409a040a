#include "proxy/admin/backend.hpp"

namespace hyperdrive::proxy::admin {
namespace {

Latency latency(const session::HistogramSum& sum) {
  return {sum.count, sum.sum, sum.quantile(0.5), sum.quantile(0.9), sum.quantile(0.99), sum.max};
}

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

Stats Stats::from(const session::TelemetrySnapshot& snapshot) {
  Stats stats;
  for (std::size_t i = 0; i < session::kCounterCount; ++i) {
    stats.counters.emplace_back(session::name(static_cast<session::Counter>(i)),
                                snapshot.counters[i]);
  }
  stats.query = latency(snapshot.query);
  stats.hit = latency(snapshot.hit);
  stats.origin = latency(snapshot.origin);
  stats.wait = latency(snapshot.wait);
  stats.pins = reasons(snapshot.pins);
  stats.refusals = reasons(snapshot.refusals);
  stats.lost = reasons(snapshot.lost);
  return stats;
}

}  // namespace hyperdrive::proxy::admin
