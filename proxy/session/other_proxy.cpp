#include "proxy/session/other_proxy.hpp"

#include <utility>

namespace hyperdrive::proxy::session {
namespace {

bool obeys_writes(const cache::Policy& policy) {
  return policy.invalidation == core::Invalidation::kWrites;
}

}  // namespace

OtherProxy::OtherProxy(cache::Cache& cache,
                       std::function<void(cache::WriteIntent)> everything_changed)
    : cache_(cache),
      everything_changed_(std::move(everything_changed)),
      obeys_writes_(obeys_writes(*cache.policy())) {}

void OtherProxy::set_alone(bool alone) {
  const std::lock_guard lock(mutex_);
  alone_ = alone;
  settle();
}

void OtherProxy::follow(const cache::Policy& policy) {
  const std::lock_guard lock(mutex_);
  obeys_writes_ = obeys_writes(policy);
  settle();
}

void OtherProxy::settle() {
  const bool is_heeded = !alone_ && obeys_writes_;
  if (is_heeded == may_write_.pending()) return;
  if (is_heeded) {
    may_write_ = cache_.epochs().begin_foreign_write();
    may_write_.add_everything();
  } else {
    everything_changed_(std::exchange(may_write_, {}));
  }
}

}  // namespace hyperdrive::proxy::session
