// Client: what is asked of a text before it runs: may it run at all, and on which connection.
#include <algorithm>
#include <charconv>
#include <optional>

#include "proxy/session/mysql/client.hpp"
#include "proxy/sql/mysql_analysis.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;
namespace state = sql::state;
using sql::Effect;

namespace {

bool is(std::string_view text, std::string_view lower_word) {
  return std::equal(text.begin(), text.end(), lower_word.begin(), lower_word.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a | 0x20 : a) == b; });
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
  if (is(token.text, "hard") || is(token.text, "soft")) token = lexer.next();
  KillTarget target;
  target.connection = !is(token.text, "query");
  if (!target.connection || is(token.text, "connection")) token = lexer.next();
  const char* end = token.text.data() + token.text.size();
  const auto [at, error] = std::from_chars(token.text.data(), end, target.id);
  if (error != std::errc() || at != end) return std::nullopt;
  return target;
}

}  // namespace

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
    const std::string refusal =
        Client::no_local_files(profile && profile->server.is_mariadb,
                               profile ? std::atoi(profile->server_version.c_str()) : 0);
    const auto told = my::parse_err(refusal);
    step = refuse(told->code, told->sqlstate, told->message);
    return false;
  }
  const auto features = worker_.options->config.local.session_features;
  if (features != core::SessionFeatures::kPin && !analysis.statements.empty() &&
      analysis.statements.back().command == sql::kMysqlUnreadEnd) {
    step = refuse(1235, "42000",
                  "Unsupported in a pooled connection: a text that makes of sql_mode what only the "
                  "server knows, and goes on with quotes or backslashes. Send what follows as a "
                  "text of its own, set sql_mode to a constant, or say `hyperdrive update <config> "
                  "--session-features pin`.");
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
    running_.findings |= 1u << static_cast<unsigned>(Feature::kMultiStatements);
    worker_.telemetry.production_refuses(Feature::kMultiStatements);
  }
  for (const sql::Statement& statement : analysis.statements) {
    if (statement.command != "USE") continue;
    running_.findings |= 1u << static_cast<unsigned>(Feature::kUse);
    worker_.telemetry.production_refuses(Feature::kUse);
  }
}

/// Whether it would see what the connection in use remembers of whoever had it before.
bool Client::needs_fresh(TextInfo& text) const {
  const bool after_others =
      lease_->several_drew || (lease_->last_drawer != 0 && lease_->last_drawer != id_);
  // Whoever asks for its sequences' numbers takes none where others have left theirs.
  if (last_.asks_sequences && after_others && pins_ == 0 && may_draw(text)) return true;
  if (!text.analysis) return false;
  if (lease_->last_client != id_ && uses_user_variables(text)) return true;
  return last_.drew_on == 0 && lease_->last_drawer != 0 && pins_ == 0 && asks_of(text).sequence;
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
  const bool ends_in_call = !statements.empty() &&
                            (statements.back().command == "CALL" || is_compound(statements.back()));
  return ends_in_call || done + 1 < statements.size();
}

}  // namespace hyperdrive::proxy::session::mysql
