// Compares what the origin says now with a hit that was just served (--verify-sample).
//
// Counted is only what can be told: if a write to the answer's tables has been seen meanwhile and
// such writes end answers, a difference proves nothing. Rows in another order are the same answer.
#pragma once

#include <functional>
#include <string>

#include "proxy/cache/cache.hpp"
#include "proxy/session/postgres/group.hpp"

namespace hyperdrive::proxy::session::postgres {

class VerifyTap final : public Tap {
 public:
  /// `differs`: called if what was served was not what the origin says.
  VerifyTap(cache::Cache& cache, cache::EntryRef served, std::function<void()> differs)
      : cache_(cache), served_(std::move(served)), differs_(std::move(differs)) {}

  void on_bytes(net::Bytes bytes) override;
  void on_end(bool clean) override;
  void on_cut() override {}

 private:
  bool same() const;

  cache::Cache& cache_;
  cache::EntryRef served_;
  std::function<void()> differs_;
  std::string answer_;
  bool longer_ = false;
};

}  // namespace hyperdrive::proxy::session::postgres
