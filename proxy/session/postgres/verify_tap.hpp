// Compares what the origin says now with a hit that was just served (--verify-sample).
// Rows in another order are the same answer.
#pragma once

#include <functional>
#include <string>

#include "proxy/cache/cache.hpp"
#include "proxy/session/postgres/group.hpp"
#include "proxy/session/verification.hpp"

namespace hyperdrive::proxy::session::postgres {

class VerifyTap final : public Tap {
 public:
  /// `differs`: called if what was served was not what the origin says.
  VerifyTap(cache::Cache& cache, cache::EntryRef served, std::function<void()> differs)
      : verification_(cache, std::move(served), std::move(differs)) {}

  void on_bytes(net::Bytes bytes) override;
  void on_end(bool clean) override;
  void on_cut() override {}

 private:
  bool same() const;

  Verification verification_;
  std::string answer_;
  bool longer_ = false;
};

}  // namespace hyperdrive::proxy::session::postgres
