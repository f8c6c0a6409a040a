// Client: what texts do to the session, and what that means for the lease.
#include <algorithm>
#include <charconv>
#include <optional>
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

bool is_word(std::string_view text, std::string_view lower_word) {
  return text.size() == lower_word.size() && contains_word(text, lower_word);
}

std::uint16_t states_of(const sql::Analysis& analysis) {
  std::uint16_t bits = 0;
  for (const sql::Statement& statement : analysis.statements) bits |= statement.state;
  return bits;
}

/// Also where some of its assignments are for everybody.
bool is_set(const sql::Statement& statement) {
  return statement.effect == Effect::kSet || statement.effect == Effect::kSetLocal ||
         (statement.command == "SET" && (statement.state & state::kUnknown) == 0);
}

struct KillTarget {
  std::uint32_t id = 0;
  bool connection = true;
};

/// KILL [HARD | SOFT] [CONNECTION | QUERY] number; nothing of MariaDB's QUERY ID and USER.
std::optional<KillTarget> kill_target(const TextInfo& text) {
  sql::MysqlLexer lexer(text.text, text.lexing);
  lexer.next();
  sql::MysqlToken token = lexer.next();
  if (is_word(token.text, "hard") || is_word(token.text, "soft")) token = lexer.next();
  KillTarget target;
  target.connection = !is_word(token.text, "query");
  if (!target.connection || is_word(token.text, "connection")) token = lexer.next();
  const char* end = token.text.data() + token.text.size();
  const auto [at, error] = std::from_chars(token.text.data(), end, target.id);
  if (error != std::errc() || at != end) return std::nullopt;
  return target;
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

// --- before -------------------------------------------------------------------------------------

/// LOAD DATA LOCAL, and the client has said that it sends no files. Among several statements all
/// are refused: those behind it would run, though the server would have stopped there.
bool Client::loads_unallowed_file(const sql::Analysis& analysis) const {
  const auto& words = analysis.mysql.words;
  return (capabilities_ & my::capability::kLocalFiles) == 0 &&
         std::any_of(analysis.statements.begin(), analysis.statements.end(),
                     [](const sql::Statement& one) { return one.command == "LOAD"; }) &&
         std::binary_search(words.begin(), words.end(), "local");
}

/// For texts that are not plain. False: the command was answered here (`step` says how).
bool Client::may_run(const Message& message, TextInfo& text, Step& step) {
  const sql::Analysis& analysis = TextMemo::analysis(text);
  if (loads_unallowed_file(analysis)) {
    const auto profile = worker_.service.profile();
    const std::string refusal = Client::no_local_files(
        profile && profile->is_mariadb, profile ? std::atoi(profile->server_version.c_str()) : 0);
    const auto told = my::parse_err(refusal);
    step = refuse(told->code, told->sqlstate, told->message);
    return false;
  }
  if (analysis.statements.size() != 1) return true;
  const sql::Statement& only = analysis.statements.front();
  if (only.command == "KILL") {
    const auto target = kill_target(text);
    if (!target || worker_.service.worker_of(target->id) == nullptr) return true;
    step = kill(target->id, target->connection);
    return false;
  }
  if (const std::string gone = gone_variable(message, text); !gone.empty()) {
    worker_.telemetry.refused(Feature::kUserVariable);
    step = refuse(1235, "42000",
                  "Unsupported in a pooled connection: setting something to " + gone +
                      ", which went with the statement or transaction that set it. Say `hyperdrive "
                      "update <config> --session-features pin`, or connect to the origin "
                      "directly.");
    return false;
  }
  // Nothing is open, so there is nothing to end.
  const bool ends = only.effect == Effect::kCommit || only.effect == Effect::kRollback;
  if (ends && !lease_ && !waiting() && !only.transaction.chain && only.state == 0) {
    send_ok();
    last_.answered_here(0);
    worker_.telemetry.add(Counter::kQueries);
    return false;
  }
  return true;
}

/// The user variable that a SET reads although no connection of the session's has it: what dumps do
/// to put settings back. NULL would be an error at best; empty: there is none.
std::string Client::gone_variable(const Message& message, TextInfo& text) const {
  const auto features = worker_.options->config.local.session_features;
  const sql::Statement& only = TextMemo::analysis(text).statements.front();
  if (features == core::SessionFeatures::kPin || lease_ || !is_set(only) ||
      (only.state & state::kUserVariable) == 0 || message.command() != my::Command::kQuery) {
    return {};
  }
  const std::vector<std::string> copied = copied_from_before(read_set(text.text, lexing_));
  const auto gone = std::find_if(copied.begin(), copied.end(),
                                 [this](const std::string& name) { return !kept_.knows(name); });
  return gone == copied.end() ? std::string() : *gone;
}

/// What is reported of a text that is about to be sent.
void Client::note_before(TextInfo& text) {
  if (!text.analysis) return;
  // What it finds in the text may not be what the origin finds there.
  if (!text.plain && !lease_->reads_as(text.lexing)) lease_->dirty = true;
  const sql::Analysis& analysis = *text.analysis;
  if (analysis.statements.size() > 1) {
    running_.findings |= bit(Feature::kMultiStatements);
    worker_.telemetry.refused(Feature::kMultiStatements);
  }
  for (const sql::Statement& statement : analysis.statements) {
    if (statement.command != "USE") continue;
    running_.findings |= bit(Feature::kUse);
    worker_.telemetry.refused(Feature::kUse);
  }
}

/// Whether it would see what the connection in use remembers of whoever had it before.
bool Client::needs_fresh(TextInfo& text) const {
  if (lease_->last_client != id_ && uses_user_variables(text)) return true;
  return last_.drew_on == 0 && lease_->last_drawer != 0 && asks_of(text).sequence;
}

bool Client::uses_user_variables(const TextInfo& text) {
  return (states_of(*text.analysis) & state::kUserVariable) != 0;
}

/// The connection in use gets the user variables that are kept.
void Client::bring_kept() {
  has_kept_ = true;
  const std::string sql = kept_.statement();
  if (sql.empty()) return;
  lease_->dirty = true;
  lease_->send(my::Command::kQuery, sql, {Reply::kOk, Purpose::kPrelude, 1, false, nullptr});
}

bool Client::more_results_after(std::uint32_t done) const {
  if (running_.text == nullptr || running_.text->plain) return false;
  const auto& statements = TextMemo::analysis(*running_.text).statements;
  // Behind the results of a CALL comes its OK.
  const bool ends_in_call = !statements.empty() && statements.back().command == "CALL";
  return ends_in_call || done + 1 < statements.size();
}

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
  const bool counted = running_.command == my::Command::kQuery ||
                       running_.command == my::Command::kStmtExecute ||
                       running_.command == my::Command::kStmtBulkExecute;
  if (counted) {
    worker_.telemetry.add(Counter::kQueries);
    worker_.telemetry.query.add(micros + std::exchange(waited_us_, 0));
    worker_.telemetry.origin.add(micros);
    if (!lease_->in_transaction()) worker_.telemetry.add(Counter::kTransactions);
  }
  if (outcome.failed) worker_.telemetry.add(Counter::kErrors);
  apply_effects(outcome);
  if (worker_.service.telemetry.listening()) tell(outcome);
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
  if (one_shot_) end_one_shot(outcome, ends);
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
/// them. Whether those have them only the server knows, so what may be left is cleaned away.
void Client::end_one_shot(const Outcome& outcome, bool ends_transaction) {
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
  one_shot_ = one_shot_begun_ = false;
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
      } else if (pending_error_.empty()) {
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
         pins_ != 0 || one_shot_ || infile_ || !asked_values_.empty() ||
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
