#include "proxy/sql/skim.hpp"

#include <array>
#include <span>
#include <string>
#include <unordered_set>

#include "proxy/sql/builtins.hpp"
#include "proxy/sql/lexer.hpp"

namespace hyperdrive::proxy::sql {
namespace {

struct FirstWord {
  std::string_view word;
  Effect effect;
  bool changes_session;
};

constexpr std::array<FirstWord, 33> kFirstWords = {{
    {"select", Effect::kRead, false},
    {"values", Effect::kRead, false},
    {"table", Effect::kRead, false},
    {"with", Effect::kRead, false},
    {"insert", Effect::kWrite, false},
    {"update", Effect::kWrite, false},
    {"delete", Effect::kWrite, false},
    {"merge", Effect::kWrite, false},
    {"copy", Effect::kWrite, false},
    {"begin", Effect::kBegin, false},
    {"start", Effect::kBegin, false},
    {"commit", Effect::kCommit, false},
    {"end", Effect::kCommit, false},
    {"rollback", Effect::kRollback, false},
    {"abort", Effect::kRollback, false},
    {"savepoint", Effect::kSavepoint, false},
    {"release", Effect::kRelease, false},
    {"set", Effect::kSet, true},
    {"reset", Effect::kReset, true},
    {"discard", Effect::kDiscard, true},
    {"prepare", Effect::kPrepare, true},
    {"execute", Effect::kExecute, false},
    {"deallocate", Effect::kDeallocate, true},
    {"listen", Effect::kListen, true},
    {"unlisten", Effect::kUnlisten, true},
    {"notify", Effect::kNotify, false},
    {"declare", Effect::kDeclareCursor, true},
    {"close", Effect::kClose, true},
    {"fetch", Effect::kFetch, false},
    {"lock", Effect::kLock, false},
    {"show", Effect::kShow, false},
    {"vacuum", Effect::kOther, false},
    {"load", Effect::kOther, true},
}};

std::string folded(const Token& token) {
  std::string name(token.text);
  if (token.kind == TokenKind::kQuotedName) {
    name = name.substr(1, name.size() - 2);
    for (std::size_t i = name.find("\"\""); i != std::string::npos; i = name.find("\"\"", i + 1)) {
      name.erase(i, 1);
    }
    return name;
  }
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return name;
}

/// What a word anywhere in a statement may leave behind in the session.
std::uint16_t state_of(std::string_view word) {
  if (word == "set_config") return state::kUnknownSetting;
  if (word == "setseed") return state::kSeed;
  if (word == "nextval" || word == "setval" || word == "currval" || word == "lastval") {
    return state::kSequence;
  }
  if (word == "pg_temp") return state::kTempObject;
  if (outlives_cleaning(word)) return state::kLoad;
  if (word == "set_limit") return state::kUnknownSetting;
  if (word.starts_with("dblink_")) return state::kUnknown;
  if (word == "pg_advisory_unlock_all") return state::kAdvisoryUnlockAll;
  if (word.starts_with("pg_advisory_unlock")) return state::kAdvisoryUnlock;
  if (word.find("xact") == std::string_view::npos &&
      (word.starts_with("pg_advisory_lock") || word.starts_with("pg_try_advisory_lock"))) {
    return state::kAdvisoryLock;
  }
  return 0;
}

/// One pass over the tokens; a statement ends at a semicolon outside of parentheses.
class Skimmer {
 public:
  Skimmer(std::string_view text, Analysis& analysis)
      : text_(text), lexer_(text), analysis_(analysis) {}

  void run() {
    analysis_.only_values = true;
    for (Token token = lexer_.next_significant(); token.kind != TokenKind::kEnd;
         token = lexer_.next_significant()) {
      if (token.text == ";" && depth_ == 0) {
        finish();
      } else {
        step(token);
      }
    }
    finish();
  }

 private:
  void step(const Token& token) {
    if (!open_) start(token);
    if (token.kind == TokenKind::kUnterminated) statement_.state |= state::kUnknown;
    if (token.kind == TokenKind::kSymbol) {
      symbol(token.text.front());
    } else if (token.kind == TokenKind::kWord || token.kind == TokenKind::kQuotedName) {
      word(folded(token));
    } else {
      previous_.clear();
    }
  }

  void start(const Token& token) {
    open_ = true;
    statement_ = Statement{};
    statement_.offset = static_cast<std::size_t>(token.text.data() - text_.data());
    statement_.effect = Effect::kUnknownWrite;
    statement_.command = token.kind == TokenKind::kWord ? std::string(token.text) : "";
    inserts_ = equals_word(token.text, "insert");
    updates_ = false;
    if (!inserts_) analysis_.only_values = false;
    if (token.text == "(") statement_.effect = Effect::kRead;
    for (const FirstWord& first : kFirstWords) {
      if (!equals_word(token.text, first.word)) continue;
      statement_.effect = first.effect;
      if (first.changes_session) statement_.state |= state::kUnknown;
    }
    if (statement_.effect == Effect::kUnknownWrite) {
      statement_.unknown_targets = true;
      known_command_ = is_definition(token.text);
      if (!known_command_) statement_.state |= state::kUnknown;
    }
    if (statement_.effect == Effect::kExecute) statement_.unknown_targets = true;
  }

  static bool is_definition(std::string_view word) {
    constexpr std::array<std::string_view, 11> kWords = {
        "create",   "alter",   "drop",    "grant",   "revoke", "comment",
        "truncate", "refresh", "reindex", "analyze", "explain"};
    for (const std::string_view known : kWords) {
      if (equals_word(word, known)) return true;
    }
    return false;
  }

  void symbol(char c) {
    if (c == '(') {
      ++depth_;
      if (!previous_.empty() && called_.insert(previous_).second) {
        analysis_.functions.push_back({{"", previous_}, -1, false});
      }
    } else if (c == ')' && depth_ > 0) {
      --depth_;
    }
    after_dot_ = c == '.';
    if (!after_dot_) previous_.clear();
  }

  void word(std::string name) {
    statement_.state |= state_of(name);
    if (makes_temporary(name)) statement_.state |= state::kTempObject;
    // A column, or a function of a row.
    if (after_dot_ && attributes_.insert(name).second) analysis_.attributes.push_back(name);
    target(name);
    if (may_read(name)) analysis_.only_values = false;
    if (name == "update") updates_ = true;
    if (statement_.effect == Effect::kRead && depth_ == 0 && name == "into") unknown();
    if (statement_.effect == Effect::kRead && writes_inside_with(name)) unknown();
    previous_ = std::move(name);
    ++words_;
  }

  /// CREATE [OR REPLACE] [LOCAL] TEMP …, INTO [LOCAL] TEMP …; else it is a column's name.
  bool makes_temporary(std::string_view name) const {
    if (name != "temp" && name != "temporary") return false;
    if (statement_.effect == Effect::kWrite) return false;
    return previous_ == "create" || previous_ == "replace" || previous_ == "into" ||
           previous_ == "local" || previous_ == "global";
  }

  /// What an INSERT needs for reading a relation.
  static bool may_read(std::string_view name) {
    return name == "select" || name == "table" || name == "from" || name == "with" ||
           name == "using";
  }

  void unknown() {
    statement_.effect = Effect::kUnknownWrite;
    statement_.unknown_targets = true;
  }

  bool writes_inside_with(std::string_view name) const {
    return name == "insert" || name == "delete" || name == "merge" ||
           (name == "update" && previous_ != "for" && previous_ != "key");
  }

  /// The relation behind INSERT INTO, UPDATE [ONLY], DELETE FROM [ONLY], MERGE INTO, COPY.
  void target(const std::string& name) {
    if (statement_.effect != Effect::kWrite || words_ == 0) return;
    if (!statement_.writes.empty()) {
      Name& relation = statement_.writes.front();
      if (after_dot_ && words_ == target_word_ + 1) {
        relation = {relation.name, name};
        target_word_ = words_;
        after_dot_ = false;
      }
      return;
    }
    if (name == "into" || name == "from" || name == "only") return;
    statement_.writes.push_back({"", name});
    target_word_ = words_;
  }

  void finish() {
    if (open_) {
      if (statement_.effect == Effect::kWrite && statement_.writes.empty()) unknown();
      statement_.only_adds = inserts_ && !updates_ && analysis_.only_values;
      statement_.length = lexer_.position() - statement_.offset;
      analysis_.statements.push_back(std::move(statement_));
    }
    open_ = false;
    depth_ = 0;
    words_ = 0;
    previous_.clear();
    after_dot_ = false;
  }

  std::string_view text_;
  Lexer lexer_;
  Analysis& analysis_;
  Statement statement_;
  bool open_ = false;
  bool known_command_ = false;
  bool inserts_ = false;
  bool updates_ = false;
  bool after_dot_ = false;
  std::size_t depth_ = 0;
  std::size_t words_ = 0;
  std::size_t target_word_ = 0;
  std::string previous_;
  std::unordered_set<std::string> called_, attributes_;
};

}  // namespace

void skim(std::string_view text, Analysis& analysis) {
  analysis.is_skimmed = true;
  Skimmer(text, analysis).run();
}

}  // namespace hyperdrive::proxy::sql
