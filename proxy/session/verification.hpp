// A hit that the origin is asked about as well (--verify-sample): what is counted of it, and said.
//
// Counted is only what can be told: if a write to the answer's tables has been seen meanwhile and
// such writes end answers, a difference proves nothing. Each protocol's VerifyTap reads the answer
// and compares. Belongs to the worker's thread.
#pragma once

#include <functional>

#include "proxy/cache/cache.hpp"

namespace hyperdrive::proxy::session {

class Verification {
 public:
  /// `differs`: called if what was served is not what the origin says.
  Verification(cache::Cache& cache, cache::EntryRef served, std::function<void()> differs);

  const cache::Entry& served() const { return *served_; }
  /// The origin has answered, `clean`ly or not. `is_same` is asked only if it tells anything.
  void conclude(bool clean, const std::function<bool()>& is_same);

 private:
  cache::Cache& cache_;
  cache::EntryRef served_;
  std::function<void()> differs_;
};

}  // namespace hyperdrive::proxy::session
