// Compares an answer of the origin with the hit that would have been served in its place
// (--verify-sample): the client gets the origin's.
// Rows in another order are the same answer.
// Owned by its client; belongs to the worker's thread.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "proxy/cache/cache.hpp"
#include "proxy/session/mysql/gate.hpp"
#include "proxy/session/verification.hpp"

namespace hyperdrive::proxy::session::mysql {

class VerifyTap final : public Tap {
 public:
  /// `deprecates_eof`: the client does. `differs`: called if the hit is not what the origin says.
  VerifyTap(cache::Cache& cache, cache::EntryRef served, bool deprecates_eof,
            std::function<void()> differs)
      : verification_(cache, std::move(served), std::move(differs)),
        deprecates_eof_(deprecates_eof) {}

  void on_bytes(net::Bytes bytes) override;
  void on_end(bool clean) override;
  void on_cut() override {}

 private:
  bool same() const;

  Verification verification_;
  const bool deprecates_eof_;
  std::string answer_;
  bool longer_ = false;
};

}  // namespace hyperdrive::proxy::session::mysql
