// Another proxy of the same config that serves beside this one, in a restart.
//
// Where writes through the proxy end answers (invalidation = writes) neither hears of the other's.
// So long the other one counts as a write to everything that has not ended, and nothing is answered
// from memory (docs/decisions/020-restart-handover.md). Any thread.
#pragma once

#include <functional>
#include <mutex>

#include "proxy/cache/cache.hpp"

namespace hyperdrive::proxy::session {

class OtherProxy {
 public:
  /// `everything_changed` takes the intent when the other one has gone, or is not heeded any more:
  /// what it has done to the schema is not known here, either.
  OtherProxy(cache::Cache& cache, std::function<void(cache::WriteIntent)> everything_changed);

  void set_alone(bool alone);
  /// Before the policy is in force.
  void follow(const cache::Policy& policy);

 private:
  void settle();

  cache::Cache& cache_;
  const std::function<void(cache::WriteIntent)> everything_changed_;
  std::mutex mutex_;
  bool alone_ = true;
  bool obeys_writes_;
  cache::WriteIntent may_write_;  // all that it may, while it is heeded
};

}  // namespace hyperdrive::proxy::session
