#include <algorithm>
#include <array>

#include "proxy/sql/mysql_statement.hpp"

namespace hyperdrive::proxy::sql {
namespace {

template <std::size_t N>
bool one_of(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - ('a' - 'A'));
  }
  return text;
}

/// Reads the words of one statement from its first; small methods for families of statements.
class Classifier {
 public:
  Classifier(const MysqlWords& words, const MysqlFindings& findings)
      : words_(words), findings_(findings) {}

  Statement run() {
    statement_.state = findings_.state;
    const std::string first = word(0);
    statement_.command = words_[0].is_symbol("(") ? "SELECT" : upper(first);
    if (!reads(first) && !writes(first) && !transacts(first) && !changes_session(first)) {
      unknown();
      if (!defines(first)) statement_.state |= state::kUnknown;
    }
    const bool by_targets =
        statement_.effect == Effect::kRead || statement_.effect == Effect::kWrite;
    if (findings_.is_unsure && by_targets) statement_.unknown_targets = true;
    return std::move(statement_);
  }

 private:
  std::string word(std::size_t index) const {
    return index < words_.size() ? words_[index].lower : std::string();
  }
  bool has(std::string_view wanted) const {
    return std::any_of(words_.begin(), words_.end(),
                       [wanted](const MysqlWord& word) { return word.is(wanted); });
  }
  void unknown() {
    statement_.effect = Effect::kUnknownWrite;
    statement_.unknown_targets = true;
  }

  bool reads(const std::string& first) {
    if (first == "select" || first == "values" || first == "table" || words_[0].is_symbol("(")) {
      statement_.effect = Effect::kRead;
    } else if (first == "with") {
      // WITH may also stand before UPDATE and DELETE.
      statement_.effect = Effect::kRead;
      // Of UPDATE the tables stand in no list that findings_ has.
      if (has("delete")) write_all(findings_.tables);
      if (has("update") && has("set")) unknown();
    } else if (first == "explain" || first == "describe" || first == "desc") {
      statement_.effect = Effect::kExplain;
      // MySQL's EXPLAIN ANALYZE runs it; stored functions may write all the same.
      if (has("analyze") && (has("update") || has("delete"))) unknown();
    } else if (first == "show" || first == "help") {
      statement_.effect = Effect::kShow;
      if (word(1) == "warnings" || word(1) == "errors" || word(1) == "count") {
        statement_.state |= state::kLastStatement;
      }
    } else if (first == "analyze" && word(1) != "table" && word(1) != "local" &&
               word(1) != "no_write_to_binlog") {
      unknown();  // MariaDB's ANALYZE runs the statement
    } else {
      return false;
    }
    return true;
  }

  void write_all(std::vector<Name> targets) {
    statement_.effect = Effect::kWrite;
    statement_.writes = std::move(targets);
    if (statement_.writes.empty()) unknown();
  }

  bool writes(const std::string& first) {
    if (first == "insert" || first == "replace") {
      single(mysql_insert_target(words_, 1));
      statement_.only_adds = first == "insert" && !has("duplicate");
    } else if (first == "update") {
      update();
    } else if (first == "delete") {
      write_all(findings_.tables);
    } else if (first == "truncate") {
      single(word(1) == "table" ? 2 : 1);
    } else if (first == "load" && (word(1) == "data" || word(1) == "xml")) {
      std::size_t at = 2;
      while (at < words_.size() && !words_[at].is("table")) ++at;
      single(at + 1);
    } else {
      return false;
    }
    return true;
  }

  void single(std::size_t at) {
    if (at >= words_.size() || !words_[at].is_name()) return unknown();
    write_all({mysql_table_at(words_, at)});
  }

  /// UPDATE a, b JOIN c … SET: every table before SET may be written.
  void update() {
    auto set = words_.begin();
    for (int depth = 0; set != words_.end() && (depth > 0 || !set->is("set")); ++set) {
      if (set->is_symbol("(")) ++depth;
      if (set->is_symbol(")")) --depth;
    }
    MysqlWords tables(words_.begin() + 1, set);
    while (!tables.empty() && (tables[0].is("low_priority") || tables[0].is("ignore"))) {
      tables.erase(tables.begin());
    }
    MysqlWord from = words_[0];
    from.lower = "from";
    tables.insert(tables.begin(), from);
    const MysqlFindings found = read_mysql(tables, 0);
    write_all(found.tables);
    if (found.is_unsure) statement_.unknown_targets = true;
  }

  bool transacts(const std::string& first) {
    statement_.transaction.chain = has("chain") && word(words_.size() - 2) != "no";
    if (first == "begin" || (first == "start" && word(1) == "transaction")) {
      statement_.effect = Effect::kBegin;
      // BEGIN NOT ATOMIC, or what ORACLE has: a compound statement.
      if (first == "begin" && words_.size() > 1 && word(1) != "work") return false;
      if (has("only")) statement_.transaction.read_only = true;
      if (has("write")) statement_.transaction.read_only = false;
    } else if (first == "commit") {
      statement_.effect = Effect::kCommit;
      if (has("release")) statement_.state |= state::kUnknown;
    } else if (first == "rollback") {
      const std::size_t to = word(1) == "work" ? 2 : 1;
      statement_.effect = word(to) == "to" ? Effect::kRollbackTo : Effect::kRollback;
      if (word(to) == "to")
        statement_.argument = name_at(word(to + 1) == "savepoint" ? to + 2 : to + 1);
    } else if (first == "savepoint") {
      statement_.effect = Effect::kSavepoint;
      statement_.argument = name_at(1);
    } else if (first == "release") {
      statement_.effect = Effect::kRelease;
      statement_.argument = name_at(2);
    } else {
      return false;
    }
    return true;
  }

  std::string name_at(std::size_t index) const {
    return index < words_.size() ? mysql_name(words_[index].token) : std::string();
  }

  bool changes_session(const std::string& first) {
    if (first == "use") {
      statement_.effect = Effect::kSet;
      statement_.settings.push_back({"database", name_at(1), false, false});
    } else if (first == "set") {
      set();
    } else if (first == "prepare" || first == "execute" || first == "deallocate") {
      statement_.effect = first == "prepare"   ? Effect::kPrepare
                          : first == "execute" ? Effect::kExecute
                                               : Effect::kDeallocate;
      statement_.argument = name_at(first == "deallocate" ? 2 : 1);
      statement_.unknown_targets = first == "execute";
    } else if (first == "lock") {
      statement_.effect = Effect::kLock;
      statement_.state |= state::kTableLock;
    } else if (first == "unlock") {
      statement_.effect = Effect::kOther;
    } else if (first == "flush") {
      statement_.effect = Effect::kOther;
      if (has("lock") || has("export")) statement_.state |= state::kTableLock;
    } else if ((first == "create" || first == "drop") && temporary()) {
      statement_.effect = Effect::kCreateTemp;
      if (first == "create") statement_.state |= state::kTempObject;
    } else if (first == "signal" || first == "resignal" || (first == "get" && has("diagnostics"))) {
      statement_.effect = Effect::kOther;
    } else if (first == "kill" || first == "analyze" || first == "check" || first == "checksum") {
      statement_.effect = Effect::kOther;
      if (first == "kill") statement_.argument = name_at(words_.size() - 1);
    } else {
      return false;
    }
    return true;
  }

  bool temporary() const {
    return word(1) == "temporary" || (word(1) == "or" && word(3) == "temporary");
  }

  /// SET a = 1, SESSION b = 2, @@session.c = 3, @d = 4, NAMES utf8mb4 …
  void set() {
    statement_.effect = Effect::kSet;
    if (word(1) == "statement" && set_for_one_statement()) return;
    if (word(1) == "password" || word(1) == "role" || word(1) == "default" ||
        word(1) == "resource" || word(1) == "statement" || word(2) == "authorization") {
      statement_.state |= state::kUnknown;
      return unknown();
    }
    if (word(1) == "transaction" || word(2) == "transaction") return set_transaction();
    if (word(1) == "names") return add("names", name_or_string(2));
    if (word(1) == "charset") return add("character_set", name_or_string(2));
    if (word(1) == "character" || word(1) == "char") return add("character_set", name_or_string(3));
    for (std::size_t at = 1; at < words_.size();) at = assignment(at);
  }

  /// MariaDB's SET STATEMENT a = 1, b = 2 FOR …: what the statement behind FOR is; reads are not
  /// for the cache. False: it could be anything.
  bool set_for_one_statement() {
    std::size_t at = 2;
    for (int depth = 0; at < words_.size() && (depth > 0 || !words_[at].is("for")); ++at) {
      if (words_[at].is_symbol("(")) ++depth;
      if (words_[at].is_symbol(")")) --depth;
    }
    if (at + 1 >= words_.size()) return false;
    const MysqlWords inner(words_.begin() + static_cast<std::ptrdiff_t>(at) + 1, words_.end());
    Statement statement = classify_mysql(inner, read_mysql(inner, 0));
    const Effect effect = statement.effect;
    if (effect != Effect::kRead && effect != Effect::kWrite && effect != Effect::kShow &&
        effect != Effect::kExplain) {
      return false;
    }
    if (effect == Effect::kRead) statement.effect = Effect::kOther;
    statement.state |= findings_.state;
    statement_ = std::move(statement);
    statement_.command = "SET STATEMENT";
    return true;
  }

  void set_transaction() {
    const bool session = word(1) == "session" || word(1) == "local";
    if (word(1) == "global") return unknown();
    std::string value;
    for (std::size_t i = session ? 3 : 2; i < words_.size(); ++i) {
      value += (value.empty() ? "" : " ") + std::string(words_[i].token.text);
    }
    statement_.settings.push_back({"transaction", value, false, !session});
    if (!session) statement_.effect = Effect::kSetLocal;
  }

  void add(std::string name, std::string value) {
    const bool is_default = value == "default" || value == "DEFAULT";
    statement_.settings.push_back(
        {std::move(name), is_default ? "" : std::move(value), is_default, false});
  }

  std::string name_or_string(std::size_t at) const {
    if (at >= words_.size()) return {};
    const MysqlToken& token = words_[at].token;
    if (token.kind == MysqlTokenKind::kString && token.text.size() >= 2 &&
        (token.text.front() == '\'' || token.text.front() == '"')) {
      return std::string(token.text.substr(1, token.text.size() - 2));
    }
    return mysql_name(token);
  }

  /// One assignment; gives where the next begins.
  std::size_t assignment(std::size_t at) {
    std::string name;
    if (words_[at].is("global") || words_[at].is("persist") || words_[at].is("persist_only")) {
      unknown();
      ++at;
    } else if (words_[at].is("session") || words_[at].is("local")) {
      ++at;
    }
    if (at >= words_.size()) return at;
    const MysqlWord& target = words_[at];
    if (target.token.kind == MysqlTokenKind::kUserVariable) {
      statement_.state |= state::kUserVariable;
    } else if (target.token.kind == MysqlTokenKind::kSystemVariable) {
      name = system_variable(target.token.text.substr(2));
    } else {
      name = target.lower.empty() ? mysql_name(target.token) : target.lower;
    }
    ++at;
    if (at < words_.size() && (words_[at].is_symbol("=") || words_[at].is_symbol(":="))) ++at;
    const std::size_t begin = at;
    for (int depth = 0; at < words_.size(); ++at) {
      if (words_[at].is_symbol("(")) ++depth;
      if (words_[at].is_symbol(")")) --depth;
      if (depth == 0 && words_[at].is_symbol(",")) break;
    }
    if (!name.empty()) set_value(std::move(name), begin, at);
    return at + 1;
  }

  /// A constant is the value; of anything else only the server knows it.
  void set_value(std::string name, std::size_t begin, std::size_t end) {
    const bool negative = end - begin == 2 && words_[begin].is_symbol("-");
    if (end - begin == 1 || negative) {
      add(std::move(name), (negative ? "-" : "") + name_or_string(end - 1));
      const MysqlTokenKind kind = words_[end - 1].token.kind;
      if (kind != MysqlTokenKind::kUserVariable && kind != MysqlTokenKind::kSystemVariable) return;
      statement_.settings.pop_back();
    }
    statement_.state |= state::kUnknownSetting;
  }

  std::string system_variable(std::string_view name) {
    std::string lower(name);
    for (char& c : lower) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    }
    for (const std::string_view scope : {"global.", "persist.", "persist_only."}) {
      if (lower.starts_with(scope)) unknown();
    }
    const std::size_t dot = lower.find('.');
    return dot == std::string::npos ? lower : lower.substr(dot + 1);
  }

  static bool defines(const std::string& first) {
    // OPTIMIZE and REPAIR may lose rows.
    constexpr std::array<std::string_view, 16> kKnown = {
        "optimize", "repair", "create", "alter",   "drop",      "rename", "grant", "revoke",
        "call",     "do",     "import", "install", "uninstall", "reset",  "purge", "change"};
    return one_of(first, kKnown);
  }

  const MysqlWords& words_;
  const MysqlFindings& findings_;
  Statement statement_;
};

}  // namespace

bool mysql_only_defines(const MysqlWords& words) {
  constexpr std::array<std::string_view, 5> kAlways = {"drop", "alter", "rename", "grant",
                                                       "revoke"};
  if (words.empty()) return false;
  if (one_of(words[0].lower, kAlways)) return true;
  if (!words[0].is("create")) return false;
  std::size_t at = 1;
  if (words.size() > 3 && words[1].is("or")) at = 3;
  if (at < words.size() && words[at].is("temporary")) ++at;
  if (at >= words.size() || !words[at].is("table")) return true;
  // CREATE TABLE a [AS] SELECT …, VALUES (…), TABLE b; not PARTITION p VALUES LESS THAN (3)
  for (std::size_t i = at + 1; i < words.size(); ++i) {
    if (words[i].is("select") || words[i].is("table")) return false;
    const bool bounds = i + 1 < words.size() && (words[i + 1].is("less") || words[i + 1].is("in"));
    if (words[i].is("values") && !bounds) return false;
  }
  return true;
}

Statement classify_mysql(const MysqlWords& words, const MysqlFindings& findings) {
  return Classifier(words, findings).run();
}

}  // namespace hyperdrive::proxy::sql
