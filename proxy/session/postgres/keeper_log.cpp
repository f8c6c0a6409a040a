// invalidation = replication: following the origin's log, and when to trust it.
//
//   distrusted ──► level checked ──► slot made, stream started ──► horizon passed ──► catalogs read
//        ▲                                                                               │
//        └──────────────────────────── stream lost ◄──────────────────── trusted ◄───────┘
//
// While distrusted the whole database is marked as being written: every old answer has ended and no
// new one is stored. The horizon: the slot tells of commits after its own beginning; one whose
// record lies just before it may not be visible yet. So trust waits until every transaction that
// had begun when the stream started is over for a new snapshot.
#include <algorithm>
#include <utility>

#include "proxy/session/postgres/cache_keeper.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace {
constexpr std::size_t kWarnLog = 1;
constexpr std::size_t kWarnBlindSpots = 2;
constexpr std::chrono::milliseconds kFirstRetry{100};
constexpr std::chrono::milliseconds kLongestRetry{5'000};
constexpr std::chrono::milliseconds kFirstProbePause{1};
constexpr std::chrono::milliseconds kLongestProbePause{50};
constexpr std::chrono::milliseconds kHorizonPause{20};
// A transaction that wrote rows may have changed the schema, too; that is looked at not each time.
constexpr std::chrono::milliseconds kSchemaDelay{250};

constexpr std::string_view kLevelAndBlindSpots =
    "SELECT pg_catalog.current_setting('wal_level'),"
    " pg_catalog.string_agg(pg_catalog.format('%I.%I', n.nspname, c.relname), ', '"
    " ORDER BY n.nspname, c.relname) FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relpersistence = 'u' AND c.relkind IN ('r', 'p')";
}  // namespace

void CacheKeeper::set_replication(bool wanted) {
  if (!running()) {
    options_.replication = wanted;
    return;
  }
  run([this, wanted] {
    if (std::exchange(options_.replication, wanted) == wanted) return;
    if (wanted) {
      distrust_log();
      return open_log();
    }
    ++log_number_;
    log_timer_->disarm();
    log_.reset();
    distrust_.commit();
    warn(kWarnLog, "");
    warn(kWarnBlindSpots, "");
  });
}

void CacheKeeper::open_log() {
  if (!asker_ || !options_.replication || log_) return;
  auto answer = std::make_shared<std::pair<std::string, std::string>>();
  asker_->ask(
      std::string(kLevelAndBlindSpots),
      [answer](std::size_t, SideConnection::Row row) {
        *answer = {std::string(row[0].value_or("")), std::string(row[1].value_or(""))};
      },
      [this, answer](core::Result<void> result) {
        if (!result) return log_ended(result.error().message, result.error().hint);
        check_log_level(std::move(answer->first), std::move(answer->second));
      });
}

void CacheKeeper::check_log_level(std::string level, std::string blind_spots) {
  if (!options_.replication) return;
  if (level != "logical") {
    return log_ended(
        "invalidation = replication needs wal_level = logical at the origin; it is \"" + level +
            "\".",
        "Set wal_level = logical in postgresql.conf and restart Postgres, or use "
        "--invalidation writes.");
  }
  warn(kWarnBlindSpots, blind_spots.empty() ? std::string()
                                            : "Unlogged tables are not in the origin's log; writes "
                                              "to them that go past the proxy are "
                                              "seen only after max_age: " +
                                                  blind_spots);
  connector_->open(*loop_, KeeperConnector::Purpose::kReplication,
                   [this](auto stream) { log_opened(std::move(stream)); });
}

void CacheKeeper::log_opened(core::Result<std::unique_ptr<net::Stream>> stream) {
  if (!options_.replication) return;
  if (!stream) return log_ended(stream.error().message, stream.error().hint);
  const std::uint64_t number = ++log_number_;
  // The reader must not be destroyed from within its own calls.
  auto end = [this, number](const std::string& why, const std::string& hint) {
    loop_->post([this, number, why, hint] {
      if (number == log_number_) log_ended(why, hint);
    });
  };
  ReplicationReader::Events events;
  events.started = [this, end](core::Result<void> result) {
    if (!result) return end(result.error().message, result.error().hint);
    log_started();
  };
  events.commit = [this](LoggedCommit commit) { log_committed(commit); };
  events.lost = [end](std::string why) { end("the origin's log is not followed: " + why, ""); };
  log_ = std::make_unique<ReplicationReader>(*loop_, std::move(*stream), std::move(events));
}

void CacheKeeper::log_ended(const std::string& why, const std::string& hint) {
  ++log_number_;
  log_.reset();
  if (!options_.replication) return;
  distrust_log();
  warn(kWarnLog, "Nothing is served from the cache: " + why);
  tell_first(core::fail(why, hint));
  log_retry_ = std::clamp(log_retry_ * 2, kFirstRetry, kLongestRetry);
  log_timer_->arm(log_retry_);
}

void CacheKeeper::log_started() {
  log_retry_ = {};
  if (!asker_) return log_ended("the connection for questions is lost", "");
  auto horizon = std::make_shared<std::string>();
  const std::uint64_t number = log_number_;
  asker_->ask(
      "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.text",
      [horizon](std::size_t, SideConnection::Row row) { *horizon = row[0].value_or(""); },
      [this, number, horizon](core::Result<void> result) {
        if (number != log_number_) return;
        if (!result) return log_ended(result.error().message, "");
        pass_horizon(number, *horizon);
      });
}

void CacheKeeper::pass_horizon(std::uint64_t number, const std::string& horizon) {
  if (number != log_number_) return;
  if (!asker_) return log_ended("the connection for questions is lost", "");
  auto passed = std::make_shared<bool>(false);
  asker_->ask(
      "SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()) >= '" + horizon +
          "'::pg_catalog.xid8",
      [passed](std::size_t, SideConnection::Row row) { *passed = row[0].value_or("") == "t"; },
      [this, number, horizon, passed](core::Result<void> result) {
        if (number != log_number_) return;
        if (!result) return log_ended(result.error().message, "");
        if (*passed) return trust_log();
        horizon_ = horizon;
        horizon_timer_->arm(kHorizonPause);
      });
}

void CacheKeeper::trust_log() {
  trusting_ = true;  // once the catalogs have been read again
  // What was shared before may be older than a write in the gap that nobody was told of.
  cache::WriteIntent gap = cache_.epochs().begin_write();
  gap.add_everything();
  gap.commit();
  awaiting_next_.push_back(std::exchange(distrust_, {}));
  reload();
}

void CacheKeeper::distrust_log() {
  trusting_ = false;
  horizon_timer_->disarm();
  if (distrust_.pending()) return;
  // Of this proxy's log only: the others go on following theirs.
  distrust_ = cache_.epochs().begin_foreign_write();
  distrust_.add_everything();
}

void CacheKeeper::log_committed(const LoggedCommit& commit) {
  cache::WriteIntent intent = cache_.epochs().begin_write();
  const KnownCatalog known = catalog();
  for (const sql::Name& table : commit.tables) {
    std::vector<sql::Oid> reached;
    if (known.catalog) reached = known.catalog->reach(table.schema, table.name);
    if (reached.empty()) intent.add_everything();
    for (const sql::Oid oid : reached) {
      cache::Mark* mark = &cache_.epochs().table(oid);
      intent.add({&mark, 1});
    }
  }
  fence_.add(commit.xid, std::move(intent));
  probe_pause_ = {};
  probe();
}

void CacheKeeper::probe() {
  if (fence_.empty() || probing_ || !asker_) return;
  probing_ = true;
  auto flags = std::make_shared<std::string>();
  asker_->ask(
      fence_.question(),
      [flags](std::size_t, SideConnection::Row row) { *flags = row[0].value_or(""); },
      [this, flags](core::Result<void> result) {
        probing_ = false;
        if (!result) return fence_.forget_question();
        const auto settled = fence_.answer(*flags);
        if (settled && settled->without_tables) {
          look();
        } else if (settled && settled->transactions > 0) {
          look_within(kSchemaDelay);
        }
        if (fence_.empty()) return;
        probe_pause_ = settled && settled->transactions > 0
                           ? kFirstProbePause
                           : std::clamp(probe_pause_ * 2, kFirstProbePause, kLongestProbePause);
        probe_timer_->arm(probe_pause_);
      });
}

}  // namespace hyperdrive::proxy::session::postgres
