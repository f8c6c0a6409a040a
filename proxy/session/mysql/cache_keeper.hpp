// What the cache must know of a MySQL origin and cannot see in the clients' traffic: its
// information_schema, and how commits ended whose connection was lost.
//
// One per process, with a thread and a loop of its own. A connection to the origin is opened when
// there is something to ask and closed behind the answers (the pool's limit leaves room for it).
// While the catalog is unknown nothing is cacheable, and every write counts as one of everything.
//
//   catalog    read at start, after DDL seen through the proxy (before any further answer is
//              stored), and every minute.
// With caching disabled the schema is read, too: it tells what may hide state in a connection
// (decisions/022). Then the connection takes a place of the pool's, and nobody looks where no
// client works.
//
//   log        with invalidation = replication, the origin's binary log (binlog_follower.hpp).
//   outcomes   writes whose end nobody saw stay open until their connection is gone from the
//              origin's process list; XA PREPARE until XA RECOVER lists nothing any more.
//
// Members are for any thread unless they say otherwise.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/error.hpp"
#include "proxy/cache/cache.hpp"
#include "proxy/net/loop.hpp"
#include "proxy/net/task.hpp"
#include "proxy/session/mysql/binlog_follower.hpp"
#include "proxy/session/mysql/origin_login.hpp"
#include "proxy/session/pool_slot.hpp"
#include "proxy/sql/mysql_catalog.hpp"

namespace hyperdrive::proxy::session::mysql {

/// What a session is that has set nothing.
struct OriginDefaults {
  std::string sql_mode;
  bool lower_case_names = false;
  bool reads_uncommitted = false;
  bool auto_is_null = false;
};

struct KnownCatalog {
  std::shared_ptr<const sql::MysqlCatalog> catalog;  ///< null: not known
  OriginDefaults defaults;
  std::uint64_t generation = 0;
};

class CacheKeeper {
 public:
  CacheKeeper(cache::Cache& cache, std::shared_ptr<const OriginTarget> target,
              std::shared_ptr<BorrowedSlot> slot);
  ~CacheKeeper();  ///< stops the thread
  /// Ends the thread: nothing that it uses is touched any more. What it is told from now on is
  /// lost.
  void stop();
  CacheKeeper(const CacheKeeper&) = delete;
  CacheKeeper& operator=(const CacheKeeper&) = delete;

  /// Starts the thread. `log_told` hears, on that thread, that the log is followed, or why it
  /// cannot be (it goes on trying).
  core::Result<void> start(std::function<void(core::Result<void>)> log_told);

  /// Whether the pool's limit leaves room for the connection: where answers are cached.
  void set_own_place(bool has_one);
  /// Whether the origin's binary log is to be followed.
  void set_replication(bool wanted);

  KnownCatalog catalog() const;
  /// Cheap; changes with every new catalog. 0: none yet.
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  /// Calls back (on the keeper's thread) once a catalog is known or the first try to read it has
  /// failed; at once if so already.
  void when_known(std::function<void()> wake);

  /// A statement that may have changed the schema has been committed: its intent is settled when
  /// the catalog has been read again.
  void schema_changed(cache::WriteIntent intent);
  /// The connection was lost with the transaction's end unknown.
  void outcome_unknown(cache::WriteIntent intent, std::uint32_t connection_id);
  /// XA PREPARE has been done.
  void prepared(cache::WriteIntent intent);
  /// INSERT DELAYED has been answered: the origin writes its rows when it likes.
  void delayed(cache::WriteIntent intent);

  /// Another origin from now on: everything known of the old one is forgotten.
  void retarget(std::shared_ptr<const OriginTarget> target);
  /// For people; empty if all is well.
  std::vector<std::string> warnings() const;
  /// Of them, why the schema is not known.
  std::string trouble() const;

 private:
  struct Unsettled {
    enum class What : std::uint8_t { kConnection, kXa, kDelayed };
    cache::WriteIntent intent;
    What what = What::kConnection;
    std::uint32_t connection_id = 0;
    bool was_over = false;  ///< the row counts as written before its table is unlocked: asked twice
  };
  /// What one connection is asked, and its answers.
  struct Errand {
    bool wants_catalog = false;
    std::size_t settles = 0;  ///< how many of unsettled_ were there when it began
    sql::MysqlServer server;
    std::string error;
    OriginDefaults defaults;
    std::shared_ptr<const sql::MysqlCatalog> catalog;
    bool knows_outcomes = false;
    bool knows_xa = false;
    std::vector<std::string> connections;
    std::size_t xa_prepared = 0;
    bool all_written = false;  ///< no row of INSERT DELAYED waits
  };

  void next();
  void begin();
  void place_taken(bool taken);
  void give_place_back();
  void ask_origin();
  void tell_tried();
  void logged_in(LoginResult result);
  net::Task<Errand> run(OriginSession session, Errand errand);
  net::Task<std::string> read_catalog(class Dialogue& dialogue, std::uint64_t capabilities,
                                      Errand& errand);
  void ended(Errand errand);
  void await_end(Unsettled unsettled);
  static bool is_over(Unsettled& one, const Errand& errand);
  void settle(const Errand& errand);
  void publish(const Errand& errand);
  void follow_log();
  void again_within(std::chrono::milliseconds time);
  void post(std::function<void()> task);

  cache::Cache& cache_;

  // The keeper's thread only, once it runs.
  std::shared_ptr<const OriginTarget> target_;
  bool running() const { return running_.load(std::memory_order_acquire); }

  std::unique_ptr<net::Loop> loop_;  // once running_
  std::atomic<bool> running_{false};
  std::thread thread_;
  std::unique_ptr<net::Timer> timer_;
  net::TimePoint next_at_{};
  net::TimePoint look_at_{};
  std::chrono::milliseconds retry_{0};
  std::shared_ptr<BorrowedSlot> slot_;
  bool has_own_place_ = true;
  bool has_slot_ = false;     // slot_ is taken
  bool awaits_slot_ = false;  // … or asked for
  bool wants_catalog_ = true;
  bool busy_ = false;
  std::uint64_t number_ = 0;  // of the errand; what an older one brings is void
  Errand errand_;
  std::unique_ptr<OriginLogin> login_;
  std::unique_ptr<net::Job<Errand>> job_;
  std::vector<cache::WriteIntent> awaiting_reload_;  // settled by the reading under way
  std::vector<cache::WriteIntent> awaiting_next_;    // … by the one after it
  std::vector<Unsettled> unsettled_;
  bool replication_ = false;
  bool look_soon_ = false;
  std::function<void(core::Result<void>)> log_told_;

  std::atomic<std::uint64_t> generation_{0};
  mutable std::mutex mutex_;  // guards what follows
  KnownCatalog known_;
  std::shared_ptr<BinlogFollower>
      follower_;  // used by the keeper's thread; others ask for warnings
  bool tried_ = false;
  std::vector<std::function<void()>> wakes_;
  std::string trouble_;
  std::string blind_spot_;
};

}  // namespace hyperdrive::proxy::session::mysql
