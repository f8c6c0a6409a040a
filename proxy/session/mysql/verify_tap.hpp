// Compares an answer of the origin with the hit that would have been served in its place
// (--verify-sample): the client gets the origin's.
//
// Counted is only what can be told: if a write to the answer's tables has been seen meanwhile and
// such writes end answers, a difference proves nothing. Rows in another order are the same answer.
// Owned by its client; belongs to the worker's thread.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "proxy/cache/cache.hpp"
#include "proxy/session/mysql/gate.hpp"

namespace hyperdrive::proxy::session::mysql {

class VerifyTap final : public Tap {
 public:
  /// `deprecates_eof`: the client does. `differs`: called if the hit is not what the origin says.
  VerifyTap(cache::Cache& cache, cache::EntryRef served, bool deprecates_eof,
            std::function<void()> differs)
      : cache_(cache),
        served_(std::move(served)),
        deprecates_eof_(deprecates_eof),
        differs_(std::move(differs)) {}

  void on_bytes(net::Bytes bytes) override;
  void on_end(bool clean) override;
  void on_cut() override {}

 private:
  bool same() const;

  cache::Cache& cache_;
  cache::EntryRef served_;
  const bool deprecates_eof_;
  std::function<void()> differs_;
  std::string answer_;
  bool longer_ = false;
};

}  // namespace hyperdrive::proxy::session::mysql
