#include <algorithm>
#include <array>
#include <unordered_set>

#include "proxy/sql/mysql_builtins.hpp"
#include "proxy/sql/mysql_statement.hpp"

namespace hyperdrive::proxy::sql {
namespace {

template <std::size_t N>
bool one_of(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr std::array<std::string_view, 13> kEndsTables = {
    "where", "group", "having",    "order", "limit", "union",    "except",
    "for",   "lock",  "procedure", "into",  "set",   "intersect"};

constexpr std::string_view kKnownSymbols = ".;+-*/%=<>!&|^~";

std::string lowered(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return text;
}

/// The tokens from left to right with one level for each open parenthesis.
class Reader {
 public:
  Reader(const MysqlWords& words, std::size_t from)
      : words_(words), at_(from), target_(find_target(words, from)) {
    find_ctes(from);
  }

  MysqlFindings run() {
    levels_.push_back({});
    for (; at_ < words_.size(); ++at_) step(words_[at_]);
    findings_.combines = queries_ > 1 || findings_.combines;
    if (findings_.makes_times && findings_.reads_dates) {
      refuse_volatile("a time is turned into a date by today's date");
    }
    return std::move(findings_);
  }

 private:
  struct Level {
    bool is_query = true;      ///< FROM begins a list of tables here; not in EXTRACT(x FROM y)
    bool in_tables = false;    ///< between FROM and WHERE
    bool wants_table = false;  ///< a table name or a parenthesis comes next
  };

  void refuse_volatile(std::string reason) {
    if (findings_.volatile_reason.empty()) findings_.volatile_reason = std::move(reason);
  }
  void refuse(std::string reason) {
    if (findings_.uncacheable_reason.empty()) findings_.uncacheable_reason = std::move(reason);
  }
  const MysqlWord* peek(std::size_t ahead) const {
    return at_ + ahead < words_.size() ? &words_[at_ + ahead] : nullptr;
  }
  bool followed_by(std::string_view symbol) const {
    return peek(1) != nullptr && peek(1)->is_symbol(symbol);
  }

  /// Where the name ends that INSERT or REPLACE writes to: a list of columns may stand behind it,
  /// no arguments. Nowhere: the number of words.
  static std::size_t find_target(const MysqlWords& words, std::size_t from) {
    const bool inserts =
        from < words.size() && (words[from].is("insert") || words[from].is("replace"));
    std::size_t at = mysql_insert_target(words, from + 1);
    if (!inserts || at >= words.size() || !words[at].is_name()) return words.size();
    mysql_table_at(words, at);
    return at - 1;
  }

  /// name [(columns)] AS (
  void find_ctes(std::size_t from) {
    for (std::size_t i = from; i + 2 < words_.size(); ++i) {
      if (!words_[i].is_name()) continue;
      std::size_t j = i + 1;
      if (words_[j].is_symbol("(")) {
        // A list of columns holds no parenthesis: so no word is read twice, whatever the text.
        for (++j; j < words_.size(); ++j) {
          if (words_[j].is_symbol(")") || words_[j].is_symbol("(")) break;
        }
        ++j;
      }
      if (j + 1 < words_.size() && words_[j].is("as") && words_[j + 1].is_symbol("(")) {
        definitions_.insert(i);
        findings_.ctes.push_back(lowered(mysql_name(words_[i].token)));
      }
    }
  }

  void step(const MysqlWord& word) {
    switch (word.token.kind) {
      case MysqlTokenKind::kUserVariable:
        findings_.state |= state::kUserVariable;
        return refuse_volatile("reads or writes a user variable");
      case MysqlTokenKind::kSystemVariable:
        return refuse_volatile("reads a system variable");
      case MysqlTokenKind::kUnterminated:
        return refuse("a string or comment does not end");
      case MysqlTokenKind::kUnknown:
        findings_.state |= state::kUnknown;
        return refuse("holds " + std::string(word.token.text) + ", which the cache does not know");
      case MysqlTokenKind::kSymbol:
        return symbol(word);
      case MysqlTokenKind::kString:
        return string();
      case MysqlTokenKind::kWord:
      case MysqlTokenKind::kQuotedName:
        return this->word(word);
      default:
        levels_.back().wants_table = false;
    }
  }

  /// With ANSI_QUOTES it would be a name: PREPARE and LOAD have strings in such places, too.
  void string() {
    Level& level = levels_.back();
    const bool in_place_of_name = level.wants_table || followed_by("(") || followed_by(".");
    level.wants_table = false;
    if (!in_place_of_name || words_[0].is("prepare") || words_[0].is("load")) return;
    findings_.is_unsure = true;
    refuse("a string stands where a name is expected");
  }

  void symbol(const MysqlWord& word) {
    Level& level = levels_.back();
    if (word.is_symbol("(")) {
      Level inner;
      inner.is_query = false;
      inner.in_tables = inner.wants_table = level.wants_table;
      if (level.wants_table) level.wants_table = false;
      levels_.push_back(inner);
    } else if (word.is_symbol(")")) {
      if (levels_.size() > 1) levels_.pop_back();
    } else if (word.is_symbol(",")) {
      if (level.in_tables) level.wants_table = true;
    } else if (word.is_symbol(":=")) {
      refuse_volatile("writes a variable");
    } else if (kKnownSymbols.find(word.token.text.front()) == std::string_view::npos) {
      refuse("holds " + std::string(word.token.text) + ", which the cache does not know");
    }
  }

  bool follows_point() const {
    return at_ > 0 && words_[at_ - 1].is_symbol(".") && !words_[at_].token.spaced;
  }

  void word(const MysqlWord& word) {
    Level& level = levels_.back();
    findings_.words.push_back(lowered(mysql_name(word.token)));
    if (level.wants_table && word.is_name() && !is_table_keyword(word)) return table(word);
    // Behind a point every word is a name: a.where, t.order.
    if (word.token.kind == MysqlTokenKind::kQuotedName || follows_point()) {
      if (followed_by("(") && at_ != target_) stored_function(word);
      return;
    }
    if (skips_index_hint(word)) return;
    if (word.is("select") || word.is("values") || word.is("table")) {
      level = Level{};
      if (word.is("table")) level.wants_table = true;
      ++queries_;
    } else if (level.is_query && word.is("using") && (lists_targets_ || !followed_by("("))) {
      level.in_tables = level.wants_table = true;  // DELETE FROM a USING (t AS a)
      lists_targets_ = false;
    } else if (level.is_query && word.is("from")) {
      level.in_tables = level.wants_table = true;
    } else if (word.is("join") || (word.is("straight_join") && level.in_tables)) {
      level.in_tables = level.wants_table = true;
      lists_targets_ = false;  // JOIN t USING (columns)
    } else if (one_of(word.lower, kEndsTables) || begins_windows(word)) {
      level.in_tables = level.wants_table = false;
    } else if (word.is("delete")) {
      lists_targets_ = true;
    }
    keyword(word);
    if (followed_by("(") && !word.lower.empty() && at_ != target_) call(word);
  }

  bool is_table_keyword(const MysqlWord& word) const {
    if (word.is("lateral")) return followed_by("(");  // a name in MariaDB
    constexpr std::array<std::string_view, 4> kKeywords = {"select", "with", "values", "table"};
    return one_of(word.lower, kKeywords);
  }

  /// MariaDB has columns of that name: WINDOW w AS (
  bool begins_windows(const MysqlWord& word) const {
    return word.is("window") && peek(2) != nullptr && peek(2)->is("as") && peek(3) != nullptr &&
           peek(3)->is_symbol("(");
  }

  /// USE INDEX FOR ORDER BY (x): tables may follow.
  bool skips_index_hint(const MysqlWord& word) {
    const bool hint =
        word.is("for") && at_ > 0 && (words_[at_ - 1].is("index") || words_[at_ - 1].is("key"));
    if (!hint || peek(1) == nullptr) return false;
    at_ += peek(1)->is("join") ? 1 : 2;
    return true;
  }

  void table(const MysqlWord& word) {
    levels_.back().wants_table = false;
    if (followed_by("(")) {
      if (!word.is("json_table")) refuse("reads the table function " + word.lower);
      return call(word);
    }
    const std::size_t begin = at_;
    const Name name = mysql_table_at(words_, at_);
    --at_;
    if (name.schema.empty() && words_[begin].is("dual")) return;
    constexpr std::array<std::string_view, 4> kSystem = {"mysql", "information_schema",
                                                         "performance_schema", "sys"};
    std::string schema = name.schema;
    for (char& c : schema) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    if (one_of(schema, kSystem)) refuse(schema + "." + name.name + " is a system table");
    // The name of a WITH query may be that of a table too, inside its own definition.
    if (seen_.insert(name.schema + '\0' + name.name).second) findings_.tables.push_back(name);
  }

  void keyword(const MysqlWord& word) {
    if (mysql_is_volatile_word(word.lower)) {
      refuse_volatile(word.lower + " depends on the moment or the session that asks");
    } else if (word.is("sql_no_cache")) {
      refuse("says SQL_NO_CACHE");
    } else if (word.is("sql_calc_found_rows")) {
      findings_.state |= state::kLastStatement;
      refuse("SQL_CALC_FOUND_ROWS leaves a count in the session");
    } else if (word.is("into")) {
      refuse("SELECT INTO writes a variable or a file");
    } else if (word.is("for") && peek(1) != nullptr &&
               (peek(1)->is("update") || peek(1)->is("share"))) {
      refuse("locks rows (FOR UPDATE or FOR SHARE)");
    } else if (word.is("for") && peek(1) != nullptr && peek(1)->is("system_time")) {
      refuse("reads a past state of the table");
    } else if (word.is("lock") || word.is("procedure")) {
      refuse("locks rows, or calls a procedure on its result");
    } else if (word.is("nextval") || (word.is("value") && peek(1) && peek(1)->is("for"))) {
      findings_.state |= state::kSequence;
      refuse_volatile("reads a sequence");
    } else if (word.is("natural")) {
      findings_.combines = true;
    } else if (word.is("datetime") || word.is("date") || word.is("timestamp")) {
      findings_.reads_dates = true;
    } else if (word.is("time")) {
      findings_.makes_times = true;
    } else if (word.is("interval")) {
      in_interval_ = true;
    } else if (in_interval_ && is_unit(word.lower)) {
      if (reads_calendar(word.lower)) findings_.reads_dates = true;
      in_interval_ = false;
    }
  }

  /// MySQL 8 makes a DATETIME of a TIME to which it adds days.
  static bool is_unit(std::string_view word) {
    for (const std::string_view part : {"second", "minute", "hour"}) {
      if (word.ends_with(part)) return true;
    }
    return reads_calendar(word);
  }
  static bool reads_calendar(std::string_view word) {
    for (const std::string_view part : {"date", "day", "week", "month", "quarter", "year"}) {
      if (word.find(part) != std::string_view::npos) return true;
    }
    return false;
  }

  void stored_function(const MysqlWord& word) {
    refuse_volatile(mysql_name(word.token) + "() is not known to be deterministic");
    // "?": quoted, so that only the server knows whether it is one of its own.
    const bool qualified = at_ > 1 && words_[at_ - 1].is_symbol(".") && words_[at_ - 2].is_name();
    findings_.functions.push_back(
        {{qualified ? mysql_name(words_[at_ - 2].token) : "?", mysql_name(word.token)}, -1, false});
  }

  void call(const MysqlWord& word) {
    if (mysql_is_no_function(word.lower)) return;
    if (definitions_.contains(at_)) return;
    if (at_ > 0 && words_[at_ - 1].is_symbol(".")) return stored_function(word);
    const bool has_arguments = !(peek(2) != nullptr && peek(2)->is_symbol(")"));
    // With a blank before the parenthesis the server may look for a stored function of that name.
    findings_.functions.push_back({{"", word.lower}, -1, words_[at_ + 1].token.spaced});
    note_session_call(word.lower, has_arguments);
    constexpr std::array<std::string_view, 7> kMakesTimes = {
        "maketime", "sec_to_time", "time", "timediff", "addtime", "subtime", "str_to_date"};
    if (one_of(word.lower, kMakesTimes)) {
      findings_.makes_times = true;
    } else if (reads_calendar(word.lower) || word.lower.find("timestamp") != std::string::npos ||
               word.is("to_seconds") || word.is("convert_tz") ||
               (word.is("extract") && peek(2) != nullptr && reads_calendar(peek(2)->lower))) {
      findings_.reads_dates = true;
    }
    if (!mysql_function_is_cacheable(word.lower, has_arguments)) {
      refuse_volatile(word.lower + "() is not known to be deterministic");
    }
  }

  void note_session_call(std::string_view name, bool has_arguments) {
    if (name == "get_lock") {
      findings_.state |= state::kAdvisoryLock;
    } else if (name == "release_lock") {
      findings_.state |= state::kAdvisoryUnlock;
    } else if (name == "release_all_locks") {
      findings_.state |= state::kAdvisoryUnlockAll;
    } else if (name == "last_insert_id" || name == "found_rows" || name == "row_count") {
      findings_.state |= state::kLastStatement;
    } else if (name == "nextval" || name == "lastval" || name == "setval") {
      findings_.state |= state::kSequence;
    } else if (name == "rand" && has_arguments) {
      findings_.state |= state::kSeed;
    }
  }

  const MysqlWords& words_;
  std::size_t at_;
  const std::size_t target_;
  std::vector<Level> levels_;
  std::unordered_set<std::size_t> definitions_;  ///< where WITH queries are named
  std::unordered_set<std::string> seen_;  ///< tables, schema and name with a zero byte between
  int queries_ = 0;
  bool lists_targets_ = false;  ///< DELETE stood before, and no JOIN since
  bool in_interval_ = false;    ///< INTERVAL stood before, its unit comes yet
  MysqlFindings findings_;
};

}  // namespace

std::size_t mysql_insert_target(const MysqlWords& words, std::size_t at) {
  constexpr std::array<std::string_view, 5> kBetween = {"low_priority", "delayed", "high_priority",
                                                        "ignore", "into"};
  while (at < words.size() && one_of(words[at].lower, kBetween)) ++at;
  return at;
}

Name mysql_table_at(const MysqlWords& words, std::size_t& at) {
  Name name{"", mysql_name(words[at].token)};
  ++at;
  if (at + 1 < words.size() && words[at].is_symbol(".") && words[at + 1].is_name()) {
    name = {std::move(name.name), mysql_name(words[at + 1].token)};
    at += 2;
  }
  return name;
}

MysqlFindings read_mysql(const MysqlWords& words, std::size_t from) {
  return Reader(words, from).run();
}

}  // namespace hyperdrive::proxy::sql
