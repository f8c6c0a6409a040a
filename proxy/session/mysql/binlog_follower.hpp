// invalidation = replication: following the origin's binary log, and when to trust it.
//
//   distrusted ──► opened ──► horizon passed ──► catalog read ──► trusted
//        ▲                                                          │
//        └───────────────── stream lost, or too far behind ◄────────┘
//
// While distrusted the whole database is marked as being written: every old answer has ended and no
// new one is stored. The horizon: what was in the log when it was opened is visible.
//
// What a logged transaction wrote is marked as soon as its rows are seen, and held until the fence
// lets it pass (commit_fence.hpp). A definition ends everything until the catalog has been read
// again. Where MariaDB's engines commit by themselves (Aria or MyISAM beside InnoDB: the log says
// COMMIT instead of an XID) there is no proof; such a transaction is held a second longer. Every
// second the origin is asked where its log ends: a stream that is not there four
// seconds later, or a log that has begun anew (RESET MASTER leaves the stream open and silent), is
// lost.
//
// Owned by the keeper; its loop and thread. warnings() is for any thread.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "proxy/cache/cache.hpp"
#include "proxy/net/loop.hpp"
#include "proxy/net/task.hpp"
#include "proxy/session/mysql/binlog_origin.hpp"
#include "proxy/session/mysql/binlog_reader.hpp"
#include "proxy/session/mysql/commit_fence.hpp"
#include "proxy/sql/mysql_catalog.hpp"

namespace hyperdrive::proxy::session::mysql {

class BinlogFollower {
 public:
  struct Catalog {
    std::shared_ptr<const sql::MysqlCatalog> tables;  ///< null: not known
    std::uint64_t generation = 0;
  };
  /// What it needs of the keeper.
  struct Keeper {
    std::function<Catalog()> catalog;
    /// Settles the intent when the catalog has been read again.
    std::function<void(cache::WriteIntent)> schema_changed;
    /// Settles it when XA RECOVER lists nothing.
    std::function<void(cache::WriteIntent)> prepared;
    /// The catalog is to be read once more, soon.
    std::function<void()> look_soon;
    /// Told when the log is trusted, and each time it cannot be followed.
    std::function<void(core::Result<void>)> told;
  };

  /// `fence` false only for the test that shows why it is there.
  BinlogFollower(net::Loop& loop, cache::Cache& cache, std::shared_ptr<const OriginTarget> target,
                 Keeper keeper, bool fence);
  /// What is held counts as written now.
  ~BinlogFollower();
  BinlogFollower(const BinlogFollower&) = delete;
  BinlogFollower& operator=(const BinlogFollower&) = delete;

  /// Why nothing is served, what the log does not tell; empty if all is well.
  std::vector<std::string> warnings() const;

 private:
  void open();
  void opened(core::Result<OpenedBinlog> result);
  void begin_reading(OpenedBinlog opened);
  void lost(const std::string& why, const std::string& hint);
  void distrust();
  void trust();
  // what the stream tells
  void moved();
  void wrote(const sql::Name& table);
  void ended(LoggedGroup group);
  void add_statement(const LoggedStatement& statement, CommitFence::Held& held);
  bool settle_passed();
  void settle(CommitFence::Held held);
  void commit(CommitFence::Held held);
  void settle_lingering();
  // what the origin is asked
  void probe();
  void audit();
  void ask(std::string sql, void (BinlogFollower::*then)(const std::vector<TextRow>&));
  void probed(const std::vector<TextRow>& rows);
  void audited(const std::vector<TextRow>& rows);
  bool is_log_reset(const std::vector<TextRow>& rows);
  bool has_come_so_far(const std::vector<TextRow>& rows) const;

  net::Loop& loop_;
  cache::Cache& cache_;
  const std::shared_ptr<const OriginTarget> target_;
  const Keeper keeper_;
  const bool holds_;

  std::unique_ptr<net::Timer> open_timer_, probe_timer_, audit_timer_, linger_timer_;
  std::chrono::milliseconds retry_{0}, pause_{0};
  std::uint64_t number_ = 0;  // of the stream; what belongs to older ones is void
  std::unique_ptr<net::Job<core::Result<OpenedBinlog>>> opening_;
  std::unique_ptr<BinlogReader> reader_;
  CommitFence::Proof proof_{};
  CommitFence fence_;
  IdleConnection questions_;
  std::unique_ptr<net::Job<Answered>> asking_;

  wire::mysql::BinlogPosition horizon_;
  bool horizon_due_ = false;
  bool from_beginning_ = false;
  bool saw_group_ = false;
  struct Lingering {
    net::TimePoint until;
    CommitFence::Held held;
  };
  std::deque<Lingering> lingering_;  // passed the fence, but not told precisely
  cache::WriteIntent group_;         // of the one that is being read
  std::uint64_t group_generation_ = 0;
  cache::WriteIntent distrust_;  // everything, while the log is not trusted

  bool audit_due_ = false;
  std::optional<net::TimePoint> behind_since_;
  wire::mysql::BinlogPosition target_position_, last_end_;
  wire::mysql::GtidSet known_, received_;
  std::string target_gtids_;

  std::shared_ptr<BinlogFollower*> self_;  // for what is posted
  mutable std::mutex mutex_;               // guards what follows
  std::string trouble_;
  std::vector<std::string> blind_spots_;
};

}  // namespace hyperdrive::proxy::session::mysql
