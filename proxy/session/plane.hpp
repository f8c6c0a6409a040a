// A data plane: everything of the proxy that knows a wire protocol, as proxy/server sees it.
//
// session/postgres and session/mysql each implement one. The server makes it
// (proxy/server/planes.hpp picks by the origin's scheme), hands it accepted connections, and owns
// it; the loops outlive it. Each PlaneWorker is touched on its own loop's thread only; the calls of
// Plane may come from any thread once start() has returned.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/handover.hpp"
#include "core/config/config.hpp"
#include "proxy/cache/cache.hpp"
#include "proxy/net/loop.hpp"
#include "proxy/pool/pool.hpp"
#include "proxy/session/telemetry.hpp"
#include "proxy/sql/catalog.hpp"

namespace hyperdrive::proxy::session {

/// Facts about the origin for people; from the latest login.
struct OriginFacts {
  std::string server_version;
  std::string tls;  ///< "TLSv1.3"; empty: none
};

/// One worker thread's share of a plane: its clients.
class PlaneWorker {
 public:
  virtual ~PlaneWorker() = default;
  virtual void accept(std::unique_ptr<net::Stream> stream) = 0;
  /// Idle clients leave at once, the others when their transaction ends.
  virtual void drain() = 0;
  /// Everybody leaves; what still runs for them is cancelled.
  virtual void close_all() = 0;
  /// Whether an origin has yet to be told to end something.
  virtual bool cancelling() const = 0;
  /// Called (once, on this thread) when draining and the last client has left.
  virtual void on_empty(std::function<void()> done) = 0;
};

class Plane {
 public:
  /// The last thing to be destroyed before the loops, and after their threads have ended.
  virtual ~Plane() = default;

  /// Before the threads run. Fails where invalidation = replication cannot be had from the origin.
  virtual core::Result<void> start() = 0;
  virtual PlaneWorker& worker(std::size_t index) = 0;
  virtual pool::Pool& pool() = 0;
  virtual OriginFacts facts() const = 0;

  /// Before the threads run: who may know the sessions that cancel requests name and we do not.
  virtual void follow(std::shared_ptr<core::Predecessor> /*predecessor*/) {}
  /// A cancel request that a successor did not know, as `predecessor` of the other one sent it.
  virtual void cancel(std::string_view /*request*/) {}

  /// All or nothing. `new_origin`: connections and knowledge of the old one are of no more use.
  virtual core::Result<void> reload(const core::Launch& launch, bool new_origin) = 0;

  /// Not alone: another proxy of this config serves beside this one, in a restart. Where writes
  /// through the proxy end answers, neither hears of the other's: so long nothing is answered from
  /// memory. Any thread.
  virtual void set_alone(bool alone) = 0;

  // --- the cache
  virtual cache::Cache& cache() = 0;
  virtual std::uint64_t purges() const = 0;
  /// What people should know about the cache: an origin whose catalogs cannot be read …
  virtual std::vector<std::string> warnings() const = 0;
  virtual cache::Purged purge_all() = 0;
  virtual cache::Purged purge_tag(const std::string& tag) = 0;
  virtual cache::Purged purge_query(const std::string& sql) = 0;
  /// `table`: a name or glob, as rules have it. An error if the origin has no such table.
  virtual core::Result<cache::Purged> purge_table(const std::string& table) = 0;
  virtual core::Result<sql::Explanation> explain(const std::string& sql) = 0;
};

}  // namespace hyperdrive::proxy::session
