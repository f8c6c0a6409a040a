#include "proxy/session/verification.hpp"

#include <spdlog/spdlog.h>

#include <utility>

namespace hyperdrive::proxy::session {

Verification::Verification(cache::Cache& cache, cache::EntryRef served,
                           std::function<void()> differs)
    : cache_(cache), served_(std::move(served)), differs_(std::move(differs)) {}

void Verification::conclude(bool clean, const std::function<bool()>& is_same) {
  if (!clean || !cache_.comparable(*served_)) return;
  cache_.counters().add(cache::Count::kVerified);
  if (is_same()) return;
  cache_.counters().add(cache::Count::kVerifiedStale);
  differs_();
  spdlog::warn("verify: a hit differs from what the origin says now; {} of {} checked did",
               cache_.counters().snapshot().of(cache::Count::kVerifiedStale),
               cache_.counters().snapshot().of(cache::Count::kVerified));
}

}  // namespace hyperdrive::proxy::session
