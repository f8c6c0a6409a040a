#include "proxy/sql/mysql_analysis.hpp"

#include <algorithm>

#include "proxy/sql/hints.hpp"
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
  if (words[0].is("begin") && words.size() > 1 && words[1].is("not")) return true;
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
};

Texts split(std::string_view text, MysqlLexing lexing) {
  Texts texts;
  MysqlWords words;
  MysqlLexer lexer(text, lexing);
  const auto finish = [&] {
    if (!words.empty()) {
      texts.statements.push_back(std::move(words));
      texts.ends.push_back(lexer.position());
    }
    words.clear();
  };
  for (MysqlToken token = lexer.next(); token.kind != MysqlTokenKind::kEnd; token = lexer.next()) {
    if (token.kind == MysqlTokenKind::kSymbol && token.text == ";" && !holds_a_body(words)) {
      finish();
      continue;
    }
    MysqlWord word{token, {}};
    if (token.kind == MysqlTokenKind::kWord) {
      word.lower = token.text;
      for (char& c : word.lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
      }
    }
    words.push_back(std::move(word));
  }
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

}  // namespace

std::shared_ptr<const Analysis> analyse_mysql(std::string_view text, MysqlLexing lexing) {
  auto analysis = std::make_shared<Analysis>();
  analysis->hints = read_hints(text);
  const Texts texts = split(text, lexing);
  std::string volatile_reason;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < texts.statements.size(); ++i) {
    const MysqlFindings findings = read_mysql(texts.statements[i], 0);
    Statement statement = classify_mysql(texts.statements[i], findings);
    if (texts.statements.size() > 1) {
      statement.offset = begin;
      statement.length = texts.ends[i] - begin;
      begin = texts.ends[i];
    }
    add(findings, *analysis);
    if (volatile_reason.empty()) volatile_reason = findings.volatile_reason;
    analysis->statements.push_back(std::move(statement));
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
