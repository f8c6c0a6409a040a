// The query cache of one MySQL plane, put together: store, keeper, a gate for each worker.
//
// Owned by the plane. attach() before the workers run, start() with them; detach() when they have
// ended. reload(), purges, explain() may come from any thread (the admin's).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "proxy/cache/cache.hpp"
#include "proxy/session/mysql/cache_gate.hpp"
#include "proxy/session/mysql/cache_keeper.hpp"
#include "proxy/session/mysql/worker.hpp"
#include "proxy/session/other_proxy.hpp"
#include "proxy/session/shared_tier.hpp"

namespace hyperdrive::proxy::session::mysql {

class CacheService {
 public:
  CacheService(Service& service, const core::Config& config);

  /// Connections to the origin that are the cache's own: the pool may open so many fewer.
  static int own_connections(const core::Config& config);

  void attach();
  /// Starts reading the catalog. With invalidation = replication it waits until the origin's log is
  /// followed, and says why where that cannot be.
  core::Result<void> start();
  void detach();

  /// A reload brings another origin, or another user there: what is read until then is not shared.
  void leave_origin() { tier_.leave_origin(); }
  /// Settings act at once; `new_origin`: everything known of the old one is forgotten.
  void reload(const core::Config& config, bool new_origin);
  /// proxy/session/plane.hpp
  void set_alone(bool alone) { other_.set_alone(alone); }

  cache::Cache& cache() { return cache_; }
  std::uint64_t purges() const { return purges_.load(std::memory_order_relaxed); }
  std::vector<std::string> warnings() const;

  cache::Purged purge_all();
  cache::Purged purge_tag(const std::string& tag);
  cache::Purged purge_query(const std::string& sql);
  /// `table`: a name or glob, as rules have it. An error if the origin has no such table.
  core::Result<cache::Purged> purge_table(const std::string& table);
  core::Result<sql::Explanation> explain(const std::string& sql);

 private:
  core::Result<void> start_keeper(bool wait);
  cache::Purged purge(const SharedTier::Marks& marks);

  Service& service_;
  cache::Cache cache_;
  SharedTier tier_;
  CacheKeeper keeper_;
  OtherProxy other_;
  std::vector<std::unique_ptr<CacheGate>> gates_;
  std::mutex mutex_;  // of start_keeper
  bool started_ = false;
  std::atomic<std::uint64_t> purges_{0};
};

}  // namespace hyperdrive::proxy::session::mysql
