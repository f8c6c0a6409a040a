// What the cache must know of the origin and cannot see in the clients' traffic: its catalogs, what
// its log tells (invalidation = replication), and how commits ended whose connection was lost.
//
// One per process, with a thread and a loop of its own, so that reading a big schema stops no
// query. It keeps one connection for its questions (the one that the pool's limit counts for it)
// and, in mode replication, one more for the log. While the catalogs are unknown nothing is
// cacheable.
//
//   catalogs   read at start, after DDL seen through the proxy (before any further answer is
//              stored), after DDL told by the log, and when a look every minute finds them changed.
//   log        each commit is fenced until it is visible (visibility_fence.hpp). While the stream
//   is
//              down, and until a new one has been fenced, every answer is distrusted.
//   outcomes   intents whose commit nobody saw stay open until their backend is gone or their
//              prepared transaction has ended.
//
// Members are for any thread unless they say otherwise.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/base/error.hpp"
#include "proxy/cache/cache.hpp"
#include "proxy/net/loop.hpp"
#include "proxy/session/pool_slot.hpp"
#include "proxy/session/postgres/replication.hpp"
#include "proxy/session/postgres/side_connection.hpp"
#include "proxy/session/postgres/visibility_fence.hpp"
#include "proxy/sql/catalog.hpp"
#include "proxy/sql/catalog_lies.hpp"

namespace hyperdrive::proxy::session::postgres {

/// Opens logged-in connections for the keeper, on its loop.
class KeeperConnector {
 public:
  enum class Purpose : std::uint8_t { kQuestions, kReplication };
  using Opened = std::function<void(core::Result<std::unique_ptr<net::Stream>>)>;

  virtual ~KeeperConnector() = default;
  /// `opened` is called once, on `loop`; not after the KeeperConnector's end.
  virtual void open(net::Loop& loop, Purpose purpose, Opened opened) = 0;
};

struct KnownCatalog {
  std::shared_ptr<const sql::Catalog> catalog;  ///< null: not known
  sql::Context base;                            ///< what a session is that has set nothing
  std::uint64_t generation = 0;
};

struct KeeperOptions {
  bool replication = false;
  /// False: without a cache the catalogs only tell what may hide state in a connection, so one is
  /// opened for each reading, in a slot of the pool's, and closed after it.
  bool stays_connected = true;
  std::shared_ptr<BorrowedSlot> slot;
  bool fence = true;  ///< false only for the test that shows why it is there
  std::chrono::milliseconds look_again{60'000};
  /// Sessions get other defaults than before (ALTER ROLE … SET, ALTER DATABASE … SET): connections
  /// that were opened before must not answer beside those that are opened now. Keeper's thread.
  std::function<void()> on_new_defaults;
};

class CacheKeeper {
 public:
  CacheKeeper(cache::Cache& cache, std::unique_ptr<KeeperConnector> connector,
              const KeeperOptions& options);
  ~CacheKeeper();  ///< stops the thread
  /// Ends the thread: nothing that it uses is touched any more. What it is told from now on is
  /// lost.
  void stop();
  CacheKeeper(const CacheKeeper&) = delete;
  CacheKeeper& operator=(const CacheKeeper&) = delete;

  /// Starts the thread. `first` is told once, on the keeper's thread, when the catalogs are known
  /// and, in mode replication, the log is followed; or why that cannot be (it goes on trying).
  core::Result<void> start(std::function<void(core::Result<void>)> first);

  KnownCatalog catalog() const;
  /// Open while the schema is being changed, until the catalogs have been read again.
  cache::Mark& schema() { return schema_; }
  /// Cheap; changes with every new catalog. 0: none yet.
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  /// Calls back (on the keeper's thread) once a catalog is known or the first try to read it has
  /// failed; at once if so already.
  void when_known(std::function<void()> wake);

  /// A statement that may have changed the schema has been committed: its intent is settled when
  /// the catalogs have been read again.
  void schema_changed(cache::WriteIntent intent);
  /// The connection was lost with the transaction's end unknown; `backend`: its process id.
  void outcome_unknown(cache::WriteIntent intent, std::uint32_t backend);
  /// PREPARE TRANSACTION 'gid' has been done.
  void prepared(cache::WriteIntent intent, std::string gid);

  void set_replication(bool wanted);
  void set_stays_connected(bool stays);
  /// Another origin from now on: everything known of the old one is forgotten.
  void retarget(std::unique_ptr<KeeperConnector> connector);
  /// For people: what replication does not see, why the log is not followed; empty if all is well.
  std::vector<std::string> warnings() const;

 private:
  struct Unsettled {
    cache::WriteIntent intent;
    std::string backend;  // its process id, or:
    std::string gid;
    std::string backend_start;  // as first seen; a later one under that id is another
  };

  bool running() const { return running_.load(std::memory_order_acquire); }
  void run(std::function<void()> task);
  // cache_keeper.cpp: the connection for questions, the catalogs
  void open_asker();
  void open_asker_now();
  void close_asker();
  void leave_if_done();
  void asker_opened(core::Result<std::unique_ptr<net::Stream>> stream);
  void asker_lost(const std::string& why);
  void drop_asker();
  void reload();
  void read_views();
  void catalog_row(std::size_t result, SideConnection::Row row);
  void reloaded(core::Result<void> result);
  bool has_new_defaults();
  void publish(std::shared_ptr<const sql::Catalog> catalog);
  void look();
  void look_within(std::chrono::milliseconds time);
  void announce_unknown(std::vector<cache::WriteIntent>& to);
  void tell_first(core::Result<void> result);
  void tried();
  void warn(std::size_t slot, std::string text);
  // keeper_outcomes.cpp: commits whose end nobody saw
  void unsettled(Unsettled unsettled);
  void poll_outcomes();
  void polled(std::size_t asked);
  // keeper_log.cpp: the origin's log
  void open_log();
  void check_log_level(std::string level, std::string blind_spots);
  void log_opened(core::Result<std::unique_ptr<net::Stream>> stream);
  void log_started();
  void log_ended(const std::string& why, const std::string& hint);
  void log_committed(const LoggedCommit& commit);
  void pass_horizon(std::uint64_t number, const std::string& horizon);
  void trust_log();
  void distrust_log();
  void probe();

  static constexpr cache::TableId kSchema = cache::TableId{1} << 40;  // above every oid
  cache::Cache& cache_;
  cache::Mark& schema_;
  std::unique_ptr<KeeperConnector> connector_;
  KeeperOptions options_;
  std::unique_ptr<net::Loop> loop_;  // once running_
  std::atomic<bool> running_{false};
  std::thread thread_;

  // All that follows up to `generation_`: the keeper's thread only.
  std::function<void(core::Result<void>)> first_;
  std::unique_ptr<SideConnection> asker_;
  std::unique_ptr<net::Timer> asker_timer_;
  std::chrono::milliseconds asker_retry_{0};
  std::unique_ptr<net::Timer> look_timer_;
  net::TimePoint look_at_{};
  bool opening_ = false;
  bool has_slot_ = false;
  bool reloading_ = false;
  bool reload_again_ = false;
  std::unique_ptr<sql::CatalogBuilder> builder_;
  core::Result<void> builder_result_;
  std::vector<sql::Oid> views_;  // whose definitions are still to be read
  std::chrono::milliseconds reload_retry_{0};
  std::string fingerprint_;  // of the catalog in force
  std::string new_fingerprint_;
  sql::KnownLies lies_, new_lies_;
  std::string defaults_;  // of a new session, as the catalogs have them; empty: not known yet
  std::string new_defaults_;
  sql::Context base_;
  std::vector<cache::WriteIntent> awaiting_reload_;  // settled by the reload under way
  std::vector<cache::WriteIntent> awaiting_next_;    // … by the one after it

  std::vector<Unsettled> unsettled_;
  std::unique_ptr<net::Timer> outcome_timer_;
  bool polling_ = false;
  std::vector<std::pair<std::string, std::string>> living_;  // backends: pid, since when
  std::vector<std::string> prepared_;                        // gids that are still there

  std::unique_ptr<ReplicationReader> log_;
  std::unique_ptr<net::Timer> log_timer_;
  std::unique_ptr<net::Timer> probe_timer_;
  std::chrono::milliseconds log_retry_{0};
  std::chrono::milliseconds probe_pause_{0};
  std::uint64_t log_number_ = 0;  // of the stream in use; what belongs to older ones is void
  std::unique_ptr<net::Timer> horizon_timer_;
  std::string horizon_;  // the xid that every running one must have passed
  bool probing_ = false;
  bool trusting_ = false;        // trusted as soon as the catalogs have been read again
  cache::WriteIntent distrust_;  // everything, while the log is not followed
  VisibilityFence fence_;

  std::atomic<std::uint64_t> generation_{0};
  mutable std::mutex mutex_;  // guards what follows
  KnownCatalog known_;
  bool tried_ = false;
  std::vector<std::function<void()>> wakes_;
  std::vector<std::string> warnings_;  // by slot: catalogs, log, blind spots
};

}  // namespace hyperdrive::proxy::session::postgres
