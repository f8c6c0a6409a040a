// A place in the pool for the keeper's connection, as long as it needs one (cache_keeper.hpp).
//
// Owned by the keeper's options. A limit of one is exceeded by it: closing the only connection for
// each look at the catalogs would cost sessions theirs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "proxy/session/postgres/cache_keeper.hpp"
#include "proxy/session/postgres/worker.hpp"

namespace hyperdrive::proxy::session::postgres {

class PoolSlot final : public BorrowedSlot {
 public:
  explicit PoolSlot(Service& service) : service_(service) {}

  void take(std::function<void(bool)> taken) override;
  void give_back() override;
  bool was_used() override;

 private:
  void ask(std::size_t worker, std::function<void(bool)> taken);

  Service& service_;
  bool counted_ = false;    // the slot that was taken is the pool's
  std::uint64_t seen_ = 0;  // bytes from clients
};

}  // namespace hyperdrive::proxy::session::postgres
