#include "proxy/sql/mysql_analysis.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <utility>

#include "proxy/sql/hints.hpp"
#include "proxy/sql/mysql_reading.hpp"
#include "proxy/sql/mysql_statement.hpp"

namespace hyperdrive::proxy::sql {
namespace {

bool has_non_ascii(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return true;
  }
  return false;
}

/// Bodies of stored programs hold semicolons of their own: such a statement goes to the end.
bool holds_a_body(const MysqlWords& words) {
  if (words.empty()) return false;
  // So do MariaDB's statements outside of them, with or without a label (x: or <<x>>).
  constexpr std::array<std::string_view, 7> kCompound = {"if",    "case", "loop",   "repeat",
                                                         "while", "for",  "declare"};
  if (words[0].is_symbol("<") || (words.size() > 1 && words[1].is_symbol(":"))) return true;
  if (std::find(kCompound.begin(), kCompound.end(), words[0].lower) != kCompound.end()) return true;
  // BEGIN NOT ATOMIC; with sql_mode ORACLE anything stands behind BEGIN.
  if (words[0].is("begin") && words.size() > 1 && !words[1].is("work")) return true;
  if (!words[0].is("create") && !words[0].is("alter")) return false;
  for (const MysqlWord& word : words) {
    if (word.is("procedure") || word.is("function") || word.is("trigger") || word.is("event") ||
        word.is("package")) {
      return true;
    }
  }
  return false;
}

struct Texts {
  std::vector<MysqlWords> statements;
  std::vector<std::size_t> ends;  ///< where each ends in the text
  bool was_executable = false;
  bool is_too_long = false;  ///< the rest was not read
  bool ends_unread = false;  ///< what stands behind the last of them may mean anything
};

/// Collects the words of a statement. The middle of long runs of values (VALUES, IN) is left out:
/// they name nothing; of an oversized text, other runs as well (CASE). Parentheses come out as deep
/// as they were.
class Collector {
 public:
  explicit Collector(bool is_oversized) : is_oversized_(is_oversized) {}

  void add(MysqlWord word) {
    if (!is_value(word)) {
      end_run();
      run_ = 0;
      return words_.push_back(std::move(word));
    }
    if (++run_ <= kFirst || !is_oversized_) {
      end_run();
      return words_.push_back(std::move(word));
    }
    if (held_.size() == kLast) {
      pass_over(held_.front());
      held_.pop_front();
    }
    held_.push_back(std::move(word));
  }
  /// Behind a comma, where nothing depends on what comes next.
  bool in_long_run() const {
    if (run_ < kFirst) return false;
    return held_.empty() ? words_.back().is_symbol(",") : held_.back().is_symbol(",");
  }
  void pass(const MysqlPassed& passed) {
    if (!passed.anything) return;
    for (const MysqlWord& word : held_) pass_over(word);
    held_.clear();
    const std::size_t matched = std::min(opened_, passed.closed);
    closed_ += passed.closed - matched;
    opened_ += passed.opened - matched;
  }
  MysqlWords take() {
    end_run();
    run_ = 0;
    return std::exchange(words_, {});
  }
  const MysqlWords& words() const { return words_; }
  std::size_t size() const { return words_.size() + opened_ + closed_; }

 private:
  static constexpr std::size_t kFirst = 256, kLast = 8;

  static bool is_value(const MysqlWord& word) {
    constexpr std::array<std::string_view, 10> kWords = {"null",    "true",    "false",   "default",
                                                         "_binary", "when",    "_latin1", "then",
                                                         "_utf8",   "_utf8mb4"};
    switch (word.token.kind) {
      case MysqlTokenKind::kString:
      case MysqlTokenKind::kNumber:
      case MysqlTokenKind::kParameter:
        return true;
      case MysqlTokenKind::kSymbol:
        return std::string_view("(),+-").find(word.token.text) != std::string_view::npos;
      default:
        return std::find(kWords.begin(), kWords.end(), word.lower) != kWords.end();
    }
  }
  void pass_over(const MysqlWord& word) {
    if (word.is_symbol("(")) {
      ++opened_;
    } else if (word.is_symbol(")")) {
      opened_ > 0 ? --opened_ : ++closed_;
    }
  }
  void end_run() {
    const auto put = [this](std::string_view symbol) {
      words_.push_back({{MysqlTokenKind::kSymbol, symbol}, {}});
    };
    // The word before must not be taken for a function of what is opened far behind it.
    if (closed_ + opened_ > 0) put("+");
    for (; closed_ > 0; --closed_) put(")");
    for (; opened_ > 0; --opened_) put("(");
    for (MysqlWord& word : held_) words_.push_back(std::move(word));
    held_.clear();
  }

  const bool is_oversized_;
  MysqlWords words_;
  std::size_t run_ = 0;
  std::size_t opened_ = 0, closed_ = 0;  // by what was passed over
  std::deque<MysqlWord> held_;
};

Texts split(std::string_view text, MysqlLexing lexing) {
  constexpr std::size_t kMaxWords = 50'000;  // 20 ms, the time that others may be kept waiting
  const bool is_oversized = text.size() > kMaxQueryBytes;
  Texts texts;
  Collector words(is_oversized);
  std::size_t count = 0;  // of the statements before
  MysqlLexer lexer(text, lexing);
  MysqlReading reading(lexing);
  const auto finish = [&] {
    MysqlWords statement = words.take();
    if (statement.empty()) return;
    count += statement.size();
    reading.pass(statement, lexer.was_doubtful());
    texts.statements.push_back(std::move(statement));
    texts.ends.push_back(lexer.position());
  };
  const auto next = [&] {
    if (words.in_long_run()) words.pass(lexer.pass_values());
    return lexer.next();
  };
  const auto is_too_long = [&] { return count + words.size() > kMaxWords; };
  for (MysqlToken token = next(); token.kind != MysqlTokenKind::kEnd; token = next()) {
    if (is_too_long()) break;
    if (token.kind == MysqlTokenKind::kSymbol && token.text == ";" &&
        !holds_a_body(words.words())) {
      finish();
      texts.ends_unread = !reading.reads(text.substr(lexer.position()));
      if (texts.ends_unread) break;
      lexer.read_as(reading.lexing());
      continue;
    }
    MysqlWord word{token, {}};
    if (token.kind == MysqlTokenKind::kWord) {
      word.lower = token.text;
      for (char& c : word.lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
      }
    }
    words.add(std::move(word));
  }
  texts.is_too_long = is_too_long();
  if (texts.is_too_long) return texts;
  finish();
  texts.was_executable = lexer.was_executable();
  return texts;
}

void add(const MysqlFindings& findings, Analysis& analysis) {
  analysis.tables.insert(analysis.tables.end(), findings.tables.begin(), findings.tables.end());
  analysis.functions.insert(analysis.functions.end(), findings.functions.begin(),
                            findings.functions.end());
  if (analysis.uncacheable.empty()) analysis.uncacheable = findings.uncacheable_reason;
  analysis.text_may_become_time = analysis.text_may_become_time || findings.reads_dates;
  MysqlTraits& traits = analysis.mysql;
  traits.ctes.insert(traits.ctes.end(), findings.ctes.begin(), findings.ctes.end());
  traits.words.insert(traits.words.end(), findings.words.begin(), findings.words.end());
  traits.makes_times = traits.makes_times || findings.makes_times;
  traits.combines = traits.combines || findings.combines;
}

void judge(Analysis& analysis, const std::string& volatile_reason) {
  const auto refuse = [&](CacheStatus status, std::string reason) {
    analysis.status = status;
    analysis.reason = std::move(reason);
  };
  if (analysis.hints.no_cache) return refuse(CacheStatus::kBypass, "a comment says no-cache");
  if (analysis.statements.empty()) return refuse(CacheStatus::kNotAQuery, "the text is empty");
  if (analysis.statements.size() > 1) {
    return refuse(CacheStatus::kMultipleStatements,
                  std::to_string(analysis.statements.size()) + " statements in one text");
  }
  const Statement& only = analysis.statements.front();
  if (only.effect != Effect::kRead) {
    return refuse(CacheStatus::kNotAQuery, only.command + " is not a query");
  }
  if (!volatile_reason.empty()) return refuse(CacheStatus::kVolatile, volatile_reason);
  if (!analysis.uncacheable.empty()) {
    return refuse(CacheStatus::kUncacheable, analysis.uncacheable);
  }
  analysis.status = CacheStatus::kMiss;
}

/// A hint under which IS NULL asks for the last insert id of who asks. It stands in a comment, and
/// of others the answer depends on nothing but the text.
bool hints_at_last_id(std::string_view text) {
  constexpr std::string_view kName = "sql_auto_is_null";
  if (text.find("/*+") == text.npos) return false;
  return std::search(text.begin(), text.end(), kName.begin(), kName.end(), [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? static_cast<char>(a | 0x20) : a) == b;
         }) != text.end();
}

Statement unread(std::string_view what) {
  Statement unknown;
  unknown.command = what;
  unknown.effect = Effect::kExecute;
  unknown.unknown_targets = true;
  unknown.state = state::kUnknown;
  return unknown;
}

}  // namespace

std::shared_ptr<const Analysis> unread_mysql(std::string_view what, std::size_t size) {
  auto analysis = std::make_shared<Analysis>();
  analysis->statements.push_back(unread(what));
  const bool oversized = size > kMaxQueryBytes;
  analysis->status = oversized ? CacheStatus::kOversizedQuery : CacheStatus::kUncacheable;
  analysis->reason = oversized ? "the text alone is over 1 MiB" : "it is " + std::string(what);
  return analysis;
}

std::shared_ptr<const Analysis> analyse_mysql(std::string_view text, MysqlLexing lexing) {
  const Texts texts = split(text, lexing);
  if (texts.is_too_long) return unread_mysql("a text with too many words", text.size());
  auto analysis = std::make_shared<Analysis>();
  analysis->hints = read_mysql_hints(text, lexing);
  std::string volatile_reason;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < texts.statements.size(); ++i) {
    MysqlFindings findings = read_mysql(texts.statements[i], 0);
    if (!texts.was_executable && mysql_only_defines(texts.statements[i])) {
      findings.tables.clear();
      findings.functions.clear();
    }
    Statement statement = classify_mysql(texts.statements[i], findings);
    if (texts.statements.size() > 1 || texts.ends_unread) {
      statement.offset = begin;
      statement.length = texts.ends[i] - begin;
      begin = texts.ends[i];
    }
    add(findings, *analysis);
    if (volatile_reason.empty()) volatile_reason = findings.volatile_reason;
    analysis->statements.push_back(std::move(statement));
  }
  if (texts.ends_unread) {
    Statement rest = unread(kMysqlUnreadEnd);
    rest.offset = begin;
    rest.length = text.size() - begin;
    analysis->statements.push_back(std::move(rest));
  }
  auto& words = analysis->mysql.words;
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  if (texts.was_executable) {
    // Only the server knows what of it is code, so the statements may be others than they seem.
    analysis->mysql.has_executable_comment = true;
    for (Statement& statement : analysis->statements) statement.unknown_targets = true;
    if (analysis->uncacheable.empty()) {
      analysis->uncacheable = "holds an executable comment, which depends on the server's version";
    }
  }
  if (hints_at_last_id(text) && analysis->uncacheable.empty()) {
    analysis->uncacheable = "sql_auto_is_null makes IS NULL ask for the last insert id";
  }
  judge(*analysis, volatile_reason);
  if (text.size() > kMaxQueryBytes && analysis->status != CacheStatus::kBypass) {
    analysis->status = CacheStatus::kOversizedQuery;
    analysis->reason = "the text alone is over 1 MiB";
  } else if (lexing.unsafe_charset && has_non_ascii(text)) {
    for (Statement& statement : analysis->statements) {
      statement.state |= state::kUnknown;
      statement.unknown_targets = true;
    }
    analysis->status = CacheStatus::kParseError;
    analysis->reason = "holds non-ASCII bytes in a character set that may hide quotes";
  }
  return analysis;
}

}  // namespace hyperdrive::proxy::sql
