// Client: what texts do to the session, and what that means for the lease.
#include <algorithm>
#include <utility>

#include "proxy/session/mysql/client.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;
namespace state = sql::state;
using sql::Effect;

namespace {

constexpr std::uint16_t bit(Feature feature) {
  return static_cast<std::uint16_t>(1u << static_cast<unsigned>(feature));
}

bool contains_word(std::string_view text, std::string_view lower_word) {
  for (std::size_t i = 0; i + lower_word.size() <= text.size(); ++i) {
    std::size_t k = 0;
    while (k < lower_word.size()) {
      const char c = text[i + k];
      if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c) != lower_word[k]) break;
      ++k;
    }
    if (k == lower_word.size()) return true;
  }
  return false;
}

/// Whether a user variable of the text's may have another value behind it: SELECT @x := 1, SELECT …
/// INTO @x, CALL p(@x), LOAD DATA (@x) … What is only defined does not run.
bool may_assign(const sql::Statement& statement, std::string_view text) {
  if (is_set(statement)) return false;
  if (statement.effect == Effect::kRead) {
    return text.find(":=") != text.npos || contains_word(text, "into");
  }
  const std::string& command = statement.command;
  return command != "CREATE" && command != "ALTER" && command != "DROP";
}

std::string_view part(const sql::Statement& statement, std::string_view text) {
  return statement.length == 0 ? text : text.substr(statement.offset, statement.length);
}

}  // namespace

// --- after --------------------------------------------------------------------------------------

void Client::ending(const Outcome& outcome) {
  since_ = worker_.loop.now();
  if (worker_.gate != nullptr) {
    worker_.gate->answered(*lease_,
                           {outcome.failed, lease_->in_transaction(), lease_->autocommit()});
  }
  const auto spent = worker_.loop.now() - running_.since;
  const auto micros = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(spent).count());
  std::uint64_t waited = 0;
  const bool counted = running_.command == my::Command::kQuery ||
                       running_.command == my::Command::kStmtExecute ||
                       running_.command == my::Command::kStmtBulkExecute;
  if (counted) {
    worker_.telemetry.add(Counter::kQueries);
    waited = std::exchange(waited_us_, 0);
    worker_.telemetry.query.add(micros + waited);
    worker_.telemetry.origin.add(micros);
    if (!lease_->in_transaction()) worker_.telemetry.add(Counter::kTransactions);
  }
  if (outcome.failed) worker_.telemetry.add(Counter::kErrors);
  apply_effects(outcome);
  if (worker_.service.telemetry.listening()) tell(outcome, waited);
}

void Client::apply_effects(const Outcome& outcome) {
  note_statement(outcome);
  killed_ = false;
  if (running_.statement != 0 && running_.command != my::Command::kStmtFetch) {
    const auto found = statements_.find(running_.statement);
    if (found != statements_.end()) {
      ClientStatement& statement = *found->second;
      if (std::exchange(statement.long_data, false)) --long_data_;
      const bool open = !outcome.failed && (outcome.status & my::status::kCursorExists) != 0;
      if (open != statement.cursor) open ? ++cursors_ : --cursors_;
      statement.cursor = open;
      open ? take_over(statement) : give_back(statement);
    }
  }
  if (running_.command == my::Command::kInitDb) {
    if (!outcome.failed) {
      set_state(with_database(state_, asked_database_));
      lease_->database = state_->database;
    }
    return;
  }
  if (running_.text == nullptr) return follow_database(outcome);  // COM_DROP_DB
  if (running_.command == my::Command::kStmtPrepare) return;
  TextInfo& text = *running_.text;
  may_linger_ = worth_lingering(outcome);
  if (text.hidden) lease_->dirty = true;
  constexpr std::uint16_t kParseError = 1064;
  if (outcome.failed && lease_->error_may_hide_state && outcome.code != kParseError) {
    lease_->dirty = true;
  }
  // Of what it does not tell it may have changed as much.
  if (!lease_->tells_of_changes() && lease_->calls_unsaid) lease_->dirty = true;
  if (outcome.state_changed != 0 && !tells_of_state(text, outcome.state_changed)) {
    pin(Feature::kUnknown);
    kept_.clear();
    // COM_RESET_CONNECTION leaves the role.
    if (may_set_role(text)) lease_->beyond_repair = true;
  }
  if (text.cut) lease_->beyond_repair = true;
  bool ends = false;
  bool sets_only = false;
  if (!text.plain) {
    const sql::Analysis& analysis = TextMemo::analysis(text);
    const std::size_t count = analysis.statements.size();
    const std::size_t done = outcome.failed ? std::min<std::size_t>(outcome.results, count) : count;
    sets_only = count > 0;
    for (std::size_t i = 0; i < count; ++i) {
      const sql::Statement& statement = analysis.statements[i];
      const bool sets = is_set(statement);
      sets_only = sets_only && (sets || statement.effect == Effect::kBegin);
      ends = statement.effect == Effect::kCommit || statement.effect == Effect::kRollback;
      if (i < done) {
        apply_statement(statement, part(statement, text.text));
      } else if (sets && outcome.failed) {
        lease_->dirty = true;  // some of its assignments may have been made
      }
    }
  }
  const bool in_transaction = lease_->in_transaction();
  if (one_shot_ != kNoShot) end_one_shot(outcome, sets_only, ends);
  // Whoever generates a number takes the one that was set; which statement did, the text does not
  // tell.
  if (state_->find("insert_id") != nullptr && !(text.plain && text.read_only)) ask_for("insert_id");
  if (ends && !in_transaction) {
    touched_ = false;
  } else if (!sets_only && !lease_->autocommit()) {
    touched_ = true;
  }
  // A stored program may have switched it.
  const std::string* known = state_->find("autocommit");
  const bool expected = known != nullptr ? *known == "1" : lease_->identity().autocommit;
  if (!outcome.failed && asked_values_.empty() && lease_->autocommit() != expected) {
    set_state(with(state_, {"autocommit", lease_->autocommit() ? "1" : "0"}));
  }
  follow_database(outcome);
  // Part of the text was read in another way than here, and has set what was not seen.
  if (!text.plain && asked_values_.empty() && !lease_->reads_as(lexing_)) {
    lease_->dirty = true;
    ask_for("sql_mode");
  }
}

/// As the origin tells it: behind DROP DATABASE of the present one the session is in none.
void Client::follow_database(const Outcome& outcome) {
  my::for_each_change(outcome.session_state, [this](const my::SessionChange& change) {
    if (change.type != my::SessionTrack::kSchema) return;
    set_state(with_database(state_, change.value));
    lease_->database = state_->database;
  });
}

/// Whether what the text says explains that the session has changed; else a stored program or a
/// trigger has changed it. `results`: see Outcome::state_changed.
bool Client::tells_of_state(TextInfo& text, std::uint64_t results) {
  if (text.plain || text.hidden) return false;
  const auto& statements = TextMemo::analysis(text).statements;
  for (std::size_t i = 0; i < 64; ++i) {
    if ((results >> i & 1) == 0) continue;
    if (i >= statements.size() || !tells_of_state(statements[i])) return false;
  }
  return true;
}

bool Client::may_set_role(TextInfo& text) const {
  if (text.hidden || (text.plain && text.read_only)) return !lease_->calls_keep_role;
  if (text.plain) return false;  // a trigger runs as whoever made it
  const sql::Analysis& analysis = TextMemo::analysis(text);
  if (analysis.mysql.has_executable_comment) return true;
  return std::any_of(analysis.statements.begin(), analysis.statements.end(),
                     [this](const sql::Statement& one) {
                       if (one.command == "CALL") return !lease_->calls_keep_role;
                       return one.effect == Effect::kExecute || (one.state & state::kUnknown) != 0;
                     });
}

bool Client::tells_of_state(const sql::Statement& statement) {
  if (is_set(statement)) return true;
  switch (statement.effect) {
    case Effect::kPrepare:
    case Effect::kDeallocate:
    case Effect::kCreateTemp:
      return true;
    case Effect::kExecute:
      return false;
    default:
      break;
  }
  if (statement.command == "CALL" || statement.command == "DO") return false;
  // Of a temporary table, perhaps.
  if (statement.command == "DROP" || statement.command == "ALTER") return true;
  return statement.command == "SET STATEMENT" || (statement.state & ~state::kLastStatement) != 0;
}

/// What SET TRANSACTION waits for is over: with a transaction, or a statement on tables that have
/// them. Whether those have them only the server knows, so what may be left is cleaned away. Seeds
/// are for the next statement that is no SET.
void Client::end_one_shot(const Outcome& outcome, bool sets_only, bool ends_transaction) {
  if (!sets_only) one_shot_ &= static_cast<std::uint8_t>(~kSeedShot);
  if ((one_shot_ & kTransactionShot) == 0) return;
  if (lease_->in_transaction()) {
    one_shot_begun_ = true;
    return;
  }
  if (outcome.failed) return;
  if (!ends_transaction && !one_shot_begun_) {
    const sql::Analysis& analysis = TextMemo::analysis(*running_.text);
    const auto may_begin = [&](const sql::Statement& one) {
      if (one.effect == Effect::kRead) return !analysis.tables.empty();
      return one.effect == Effect::kWrite || (one.unknown_targets && one.command != "DO");
    };
    const bool uses_tables =
        std::any_of(analysis.statements.begin(), analysis.statements.end(), may_begin);
    if (!uses_tables) return;
    lease_->dirty = true;
  }
  one_shot_ &= static_cast<std::uint8_t>(~kTransactionShot);
  one_shot_begun_ = false;
}

void Client::pin(Feature feature) {
  lease_->dirty = true;
  const bool pins = worker_.options->config.local.session_features == core::SessionFeatures::kPin;
  if (!pins) {
    worker_.telemetry.lost(feature);
    running_.findings |= bit(feature);
    return;
  }
  if ((pins_ & bit(feature)) == 0) worker_.telemetry.pinned(feature);
  pins_ |= bit(feature);
}

void Client::apply_statement(const sql::Statement& statement, std::string_view text) {
  const bool is_conditional = TextMemo::analysis(*running_.text).mysql.has_executable_comment;
  if (statement.command == "USE") {
    // In a comment of another version it is none; then the origin tells.
    if (is_conditional) return lease_->database.reset();
    if (!statement.settings.empty()) {
      set_state(with_database(state_, statement.settings.front().value));
      lease_->database = state_->database;
    }
    return;
  }
  const bool is_for_one = statement.command == "SET STATEMENT";
  if (is_for_one || is_set(statement)) {
    const sql::MysqlServer server{lease_->identity().is_mariadb, lease_->identity().version};
    const bool alone = TextMemo::analysis(*running_.text).statements.size() == 1;
    // Behind a change of sql_mode that has to be asked about nobody here knows what ends a string.
    const bool unsure =
        std::find(asked_values_.begin(), asked_values_.end(), "sql_mode") != asked_values_.end();
    if (unsure && text.find('\\') != text.npos) pin(Feature::kUnknown);
    // A comment may reach over several statements: its beginning is not in this one's text.
    const bool knows_values = alone || !is_conditional;
    apply_assignments(read_set(text, lexing_, server), knows_values && !running_.binds_parameters);
    if (!is_for_one) return;
  }
  // CREATE: perhaps one of which the name is known, and its defaults are others now.
  const bool alters_database = (statement.command == "ALTER" || statement.command == "CREATE") &&
                               (contains_word(text, "database") || contains_word(text, "schema"));
  if (alters_database) worker_.service.databases_altered.fetch_add(1, std::memory_order_relaxed);
  if ((statement.state & state::kUserVariable) != 0) {
    pin(Feature::kUserVariable);
    if (may_assign(statement, text)) kept_.clear();
  }
  if ((statement.state & state::kTempObject) != 0) pin(Feature::kTempTable);
  if ((statement.state & state::kAdvisoryLock) != 0) pin(Feature::kAdvisoryLock);
  if ((statement.state & state::kTableLock) != 0) pin(Feature::kTableLock);
  if ((statement.state & state::kUnknown) != 0) {
    pin(Feature::kUnknown);
    // SET ROLE, and what may be it: COM_RESET_CONNECTION leaves the role.
    if (statement.command != "XA" && statement.command != "HANDLER") lease_->beyond_repair = true;
  }
  if (statement.effect == Effect::kPrepare) pin(Feature::kPrepare);
  // It may have left anything; most leave nothing, so nobody is pinned for it.
  if (statement.command == "CALL" || statement.command == "DO" ||
      statement.effect == Effect::kExecute || statement.command == "BEGIN") {
    if (statement.effect != Effect::kBegin) lease_->dirty = true;
  }
}

// --- the lease ----------------------------------------------------------------------------------

void Client::ended(const Expected& entry, const Outcome& outcome) {
  switch (entry.purpose) {
    case Purpose::kCommand: {
      if (auto tap = std::exchange(tap_, nullptr)) {
        const bool clean = !outcome.failed && outcome.results == 1 && outcome.warnings == 0 &&
                           outcome.state_changed == 0 && !lease_->in_transaction() &&
                           lease_->autocommit();
        tap->on_end(clean);
      }
      cache_status_ = sql::CacheStatus::kDisabled;
      cache_reason_.clear();
      break;
    }
    case Purpose::kPrepare:
      if (!outcome.failed) {
        has_prepared(entry.prepared->id, outcome.prepared.statement);
      } else if (pending_error_.empty() && !outcome.may_prepare_again) {
        pending_error_ = outcome.error;
      }
      break;
    case Purpose::kPrelude:
      if (!outcome.failed) break;
      if (pending_error_.empty()) pending_error_ = outcome.error;
      lease_->beyond_repair = true;  // nobody knows what holds there now
      break;
    case Purpose::kValues:
      if (outcome.failed) pin(Feature::kSet);
      // It may not have been among them.
      if (std::find(asked_values_.begin(), asked_values_.end(), "last_insert_id") !=
          asked_values_.end()) {
        insert_id_open_ = false;
      }
      asked_values_.clear();
      break;
    case Purpose::kWarnings:
      warnings_taken(outcome.failed);
      break;
    case Purpose::kInitConnect:
      worker_.service.runs_init_connect.store(outcome.rows > 0, std::memory_order_relaxed);
      break;
    case Purpose::kRecall:
    case Purpose::kCleaning:
      break;
  }
}

bool Client::must_hold() const {
  return lease_->busy() || lease_->in_transaction() || cursors_ > 0 || long_data_ > 0 ||
         pins_ != 0 || one_shot_ != kNoShot || infile_ || !asked_values_.empty() ||
         (touched_ && !lease_->autocommit());
}

/// Whether the client may well ask about this statement (ROW_COUNT, SHOW WARNINGS, LAST_INSERT_ID
/// …): the connection is then kept until somebody else needs it.
bool Client::worth_lingering(const Outcome& outcome) const {
  if (outcome.failed || outcome.warnings > 0) return true;
  const TextInfo& text = *running_.text;
  if (text.plain) return !text.read_only;
  return (states_of(*text.analysis) & (state::kLastStatement | state::kSequence)) != 0;
}

}  // namespace hyperdrive::proxy::session::mysql
