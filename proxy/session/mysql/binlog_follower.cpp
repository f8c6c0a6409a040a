#include "proxy/session/mysql/binlog_follower.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "proxy/sql/mysql_analysis.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;

namespace {

constexpr std::chrono::milliseconds kFirstRetry{100};
constexpr std::chrono::milliseconds kLongestRetry{5'000};
constexpr std::chrono::milliseconds kFirstPause{1};
constexpr std::chrono::milliseconds kLongestPause{50};
constexpr std::chrono::milliseconds kLinger{1'000};
constexpr std::chrono::milliseconds kAudit{1'000};
constexpr std::chrono::milliseconds kMostBehind{4'000};

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

BinlogFollower::BinlogFollower(net::Loop& loop, cache::Cache& cache,
                               std::shared_ptr<const OriginTarget> target, Keeper keeper,
                               bool fence)
    : loop_(loop),
      cache_(cache),
      target_(std::move(target)),
      keeper_(std::move(keeper)),
      holds_(fence),
      open_timer_(loop.timer([this] { open(); })),
      probe_timer_(loop.timer([this] { probe(); })),
      audit_timer_(loop.timer([this] { audit(); })),
      linger_timer_(loop.timer([this] { settle_lingering(); })),
      self_(std::make_shared<BinlogFollower*>(this)) {
  distrust();
  open();
}

BinlogFollower::~BinlogFollower() {
  *self_ = nullptr;
  for (CommitFence::Held& held : fence_.take_all()) held.intent.commit();
  for (Lingering& one : lingering_) one.held.intent.commit();
  group_.commit();
  distrust_.commit();
}

// --- the stream's life
// ------------------------------------------------------------------------------

void BinlogFollower::open() {
  const std::uint64_t number = ++number_;
  opening_ = std::make_unique<net::Job<core::Result<OpenedBinlog>>>(
      open_binlog(loop_, target_), [this, self = self_, number](core::Result<OpenedBinlog> result) {
        // Not from within the job's own call.
        auto shared = std::make_shared<core::Result<OpenedBinlog>>(std::move(result));
        loop_.post([this, self, number, shared] {
          if (*self == nullptr || number != number_) return;
          opening_.reset();
          opened(std::move(*shared));
        });
      });
  opening_->start();
}

void BinlogFollower::opened(core::Result<OpenedBinlog> result) {
  if (!result) return lost(result.error().message, result.error().hint);
  begin_reading(std::move(*result));
}

void BinlogFollower::begin_reading(OpenedBinlog opened) {
  {
    const std::lock_guard lock(mutex_);
    blind_spots_ = opened.blind_spots;
  }
  for (const std::string& blind_spot : opened.blind_spots) spdlog::warn(blind_spot);
  proof_ = opened.proof;
  fence_ = CommitFence(proof_, holds_);
  questions_ = std::move(opened.questions);
  known_ = received_ = std::move(opened.known);
  horizon_ = opened.horizon;
  from_beginning_ = opened.from_beginning;
  saw_group_ = false;
  horizon_due_ = true;
  behind_since_.reset();
  last_end_ = {};
  // The reader must not be destroyed from within its own calls.
  const auto end = [this, self = self_, number = number_](std::string why) {
    loop_.post([this, self, number, why = std::move(why)] {
      if (*self != nullptr && number == number_) lost(why, "");
    });
  };
  BinlogReader::Events events;
  events.moved = [this] { moved(); };
  events.rows = [this](const sql::Name& table) { wrote(table); };
  events.group = [this](LoggedGroup group) { ended(std::move(group)); };
  events.checkpoint = [this](std::uint64_t file) {
    fence_.checkpoint(file);
    settle_passed();
  };
  events.lost = end;
  reader_ =
      std::make_unique<BinlogReader>(loop_, std::move(opened.log), opened.start, std::move(events));
  audit_timer_->arm(kAudit);
}

void BinlogFollower::lost(const std::string& why, const std::string& hint) {
  ++number_;
  distrust();
  opening_.reset();
  asking_.reset();
  reader_.reset();
  questions_ = {};
  probe_timer_->disarm();
  audit_timer_->disarm();
  // Something wider is in their place; what XA keeps from sight goes on being so.
  for (CommitFence::Held& held : fence_.take_all()) {
    if (held.completes_xa) {
      keeper_.prepared(std::move(held.intent));
    } else {
      held.intent.commit();
    }
  }
  group_.commit();
  const std::string trouble = "Nothing is served from the cache: " + why;
  bool is_new = false;
  {
    const std::lock_guard lock(mutex_);
    is_new = std::exchange(trouble_, trouble) != trouble;
  }
  if (is_new) spdlog::warn(trouble);
  keeper_.told(core::fail(why, hint));
  retry_ = std::clamp(retry_ * 2, kFirstRetry, kLongestRetry);
  open_timer_->arm(retry_);
}

void BinlogFollower::distrust() {
  if (distrust_.pending()) return;
  // Of this proxy's log only: the others go on following theirs.
  distrust_ = cache_.epochs().begin_foreign_write();
  distrust_.add_everything();
}

void BinlogFollower::trust() {
  retry_ = {};
  {
    const std::lock_guard lock(mutex_);
    trouble_.clear();
  }
  spdlog::info(
      "The origin's binary log is followed. Not in it: what a session writes with "
      "sql_log_bin = 0.");
  // What was shared before may be older than a write in the gap that nobody was told of.
  cache::WriteIntent gap = cache_.epochs().begin_write();
  gap.add_everything();
  gap.commit();
  keeper_.schema_changed(std::exchange(distrust_, {}));
  keeper_.told({});
}

std::vector<std::string> BinlogFollower::warnings() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> all = blind_spots_;
  if (!trouble_.empty()) all.insert(all.begin(), trouble_);
  return all;
}

// --- what the stream tells
// --------------------------------------------------------------------------

void BinlogFollower::moved() {
  if (!horizon_due_) return;
  CommitFence::Held held;
  held.is_horizon = true;
  if (proof_ == CommitFence::Proof::kGtid) {
    // What was not asked for has been executed, and so is visible.
    horizon_due_ = false;
    return settle(std::move(held));
  }
  const my::BinlogPosition position = reader_ ? reader_->position() : my::BinlogPosition{};
  if (position < horizon_) return;
  horizon_due_ = false;
  // In a file without a transaction nothing says that the file before is done, but a checkpoint.
  const bool nothing_here = from_beginning_ && !saw_group_;
  fence_.add(nothing_here ? my::BinlogPosition{horizon_.file - 1, 0} : horizon_, "",
             std::move(held));
  settle_passed();
  probe();
}

void BinlogFollower::wrote(const sql::Name& table) {
  const Catalog known = keeper_.catalog();
  if (!group_.pending()) {
    group_ = cache_.epochs().begin_write();
    group_generation_ = known.generation;
  }
  std::vector<sql::MysqlTableId> reached;
  if (known.tables) reached = known.tables->reach_of_logged(table.schema, table.name);
  if (reached.empty()) return group_.add_everything();
  for (const sql::MysqlTableId id : reached) {
    cache::Mark* mark = &cache_.epochs().table(id);
    group_.add({&mark, 1});
  }
}

void BinlogFollower::ended(LoggedGroup group) {
  saw_group_ = true;
  CommitFence::Held held;
  held.commits_loosely = group.commits_loosely;
  held.intent = group_.pending() ? std::exchange(group_, {}) : cache_.epochs().begin_write();
  held.catalog_generation =
      held.intent.pending() ? group_generation_ : keeper_.catalog().generation;
  for (const LoggedStatement& statement : group.statements) add_statement(statement, held);
  if (group.anything) {
    held.intent.add_everything();
    held.changes_schema = true;
  }
  if (!group.gtid.empty()) received_.add(group.gtid);
  fence_.add(group.end, std::move(group.gtid), std::move(held));
  settle_passed();
  pause_ = {};
  probe();
}

/// What a text in the log may have changed. Default: anything, the schema too.
void BinlogFollower::add_statement(const LoggedStatement& statement, CommitFence::Held& held) {
  const std::string start = statement.text.substr(0, 12);
  if (start.starts_with("XA ROLLBACK")) return;
  const bool completes_xa = start.starts_with("XA COMMIT");
  const Catalog known = keeper_.catalog();
  const std::uint64_t mode = statement.sql_mode.value_or(my::logged_mode::kOracle);
  if (completes_xa || !known.tables || !is_ascii(statement.text) ||
      (mode & my::logged_mode::kOracle) != 0) {
    held.intent.add_everything();
    held.completes_xa = held.completes_xa || completes_xa;
    held.changes_schema = held.changes_schema || !completes_xa;
    return;
  }
  sql::MysqlLexing lexing;
  lexing.ansi_quotes = (mode & my::logged_mode::kAnsiQuotes) != 0;
  lexing.no_backslash_escapes = (mode & my::logged_mode::kNoBackslashEscapes) != 0;
  const auto analysis = sql::analyse_mysql(statement.text, lexing);
  const auto resolution = known.tables->resolve(*analysis, statement.database);
  if (resolution.writes_everything || resolution.changes_catalog) held.intent.add_everything();
  held.changes_schema = held.changes_schema || resolution.changes_catalog;
  for (const sql::MysqlTableId id : resolution.writes) {
    cache::Mark* mark = &cache_.epochs().table(id);
    held.intent.add({&mark, 1});
  }
}

bool BinlogFollower::settle_passed() {
  std::vector<CommitFence::Held> passed = fence_.take_passed();
  for (CommitFence::Held& held : passed) settle(std::move(held));
  return !passed.empty();
}

void BinlogFollower::settle(CommitFence::Held held) {
  if (held.is_horizon) return trust();
  if (held.completes_xa) return keeper_.prepared(std::move(held.intent));
  if (held.changes_schema) {
    keeper_.schema_changed(std::move(held.intent));
    return keeper_.look_soon();
  }
  if (!held.intent.pending()) return;
  if (!held.commits_loosely || !holds_) return commit(std::move(held));
  lingering_.push_back({loop_.now() + kLinger, std::move(held)});
  if (!linger_timer_->armed()) linger_timer_->arm(kLinger);
}

void BinlogFollower::commit(CommitFence::Held held) {
  // A foreign key may have come between that the catalog of then did not have.
  if (held.catalog_generation != keeper_.catalog().generation) held.intent.add_everything();
  held.intent.commit();
}

void BinlogFollower::settle_lingering() {
  while (!lingering_.empty() && lingering_.front().until <= loop_.now()) {
    commit(std::move(lingering_.front().held));
    lingering_.pop_front();
  }
  if (lingering_.empty()) return;
  const auto left = lingering_.front().until - loop_.now();
  linger_timer_->arm(std::chrono::ceil<std::chrono::milliseconds>(left));
}

// --- what the origin is asked
// -----------------------------------------------------------------------

void BinlogFollower::ask(std::string sql,
                         void (BinlogFollower::*then)(const std::vector<TextRow>&)) {
  asking_ = std::make_unique<net::Job<Answered>>(
      ask_once(loop_, std::exchange(questions_, {}), std::move(sql)),
      [this, self = self_, number = number_, then](Answered answered) {
        auto shared = std::make_shared<Answered>(std::move(answered));
        loop_.post([this, self, number, then, shared] {
          if (*self == nullptr || number != number_) return;
          asking_.reset();
          if (!shared->rows) return lost(shared->rows.error().message, "");
          questions_ = std::move(shared->connection);
          (this->*then)(*shared->rows);
        });
      });
  asking_->start();
}

void BinlogFollower::probe() {
  if (fence_.empty() || asking_ || !questions_.stream || probe_timer_->armed()) return;
  ask(fence_.question(), &BinlogFollower::probed);
}

void BinlogFollower::probed(const std::vector<TextRow>& rows) {
  fence_.answer(rows);
  const bool passed = settle_passed();
  if (audit_due_) return audit();
  if (fence_.empty()) return;
  pause_ = passed ? kFirstPause : std::clamp(pause_ * 2, kFirstPause, kLongestPause);
  probe_timer_->arm(pause_);
}

void BinlogFollower::audit() {
  audit_timer_->arm(kAudit);
  audit_due_ = asking_ != nullptr;
  if (audit_due_ || !questions_.stream) return;
  if (proof_ == CommitFence::Proof::kPosition) {
    if (reader_) last_end_ = std::max(last_end_, reader_->position());
    return ask(std::string(kMasterStatus), &BinlogFollower::audited);
  }
  ask(fmt::format("SELECT @@GLOBAL.gtid_executed, GTID_SUBSET('{}', @@GLOBAL.gtid_executed),"
                  " GTID_SUBSET('{}', '{}')",
                  known_.text(), target_gtids_, received_.text()),
      &BinlogFollower::audited);
}

void BinlogFollower::audited(const std::vector<TextRow>& rows) {
  if (is_log_reset(rows)) return lost("the origin's binary log has been begun anew", "");
  if (behind_since_ && has_come_so_far(rows)) behind_since_.reset();
  if (!behind_since_) {
    behind_since_ = loop_.now();
    target_position_ = last_end_;
    if (proof_ == CommitFence::Proof::kGtid) target_gtids_ = rows[0][0].value_or("");
  } else if (loop_.now() - *behind_since_ >= kMostBehind) {
    return lost("the origin's binary log comes more than 4 s late", "");
  }
  probe();
}

bool BinlogFollower::is_log_reset(const std::vector<TextRow>& rows) {
  if (proof_ == CommitFence::Proof::kGtid) {
    return rows.size() != 1 || rows[0].size() != 3 || rows[0][1] != "1";
  }
  const auto end = log_end(rows);
  if (!end || *end < last_end_) return true;
  last_end_ = *end;
  return false;
}

bool BinlogFollower::has_come_so_far(const std::vector<TextRow>& rows) const {
  if (proof_ == CommitFence::Proof::kGtid) return rows[0][2] == "1";
  return reader_ && reader_->position() >= target_position_;
}

}  // namespace hyperdrive::proxy::session::mysql
