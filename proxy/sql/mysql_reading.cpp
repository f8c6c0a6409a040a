#include "proxy/sql/mysql_reading.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace hyperdrive::proxy::sql {
namespace {

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return out;
}

bool names_mode(const MysqlWord& word) {
  return lowered(word.token.text).find("sql_mode") != std::string::npos;
}

/// Of the session: "@@sql_mode", "@@session.sql_mode", "sql_mode"; empty: another scope's.
std::string variable_of(const MysqlWord& word) {
  std::string name = lowered(word.token.text);
  std::erase(name, '`');
  if (word.token.kind != MysqlTokenKind::kSystemVariable) return name;
  name.erase(0, 2);
  for (const std::string_view scope : {"session.", "local."}) {
    if (name.starts_with(scope)) return name.substr(scope.size());
  }
  return name.find('.') == std::string::npos ? name : std::string();
}

/// However it is quoted.
std::string user_variable(const MysqlWord& word) {
  std::string name = lowered(word.token.text);
  std::erase_if(name, [](char c) { return c == '`' || c == '\'' || c == '"'; });
  return name;
}

/// A SET whose values may set user variables besides: by :=, a query or a call.
bool may_assign_within(const MysqlWords& set) {
  bool in_value = false;
  for (auto at = set.begin(); at != set.end(); ++at) {
    if (at->is("select") || (in_value && at->is_symbol(":="))) return true;
    if (at->is_symbol("(") && at != set.begin() && !(at - 1)->is("concat") &&
        !(at - 1)->is_symbol("(") && !(at - 1)->is_symbol(",")) {
      return true;
    }
    if (at->is_symbol("=") || at->is_symbol(":=")) in_value = true;
    if (at->is_symbol(",")) in_value = false;
  }
  return false;
}

/// What stands between the quotes of a plain string.
std::optional<std::string_view> plain_string(const MysqlWord& word) {
  const std::string_view text = word.token.text;
  const bool quoted =
      word.token.kind == MysqlTokenKind::kString || word.token.kind == MysqlTokenKind::kQuotedName;
  if (!quoted || text.size() < 2 || (text.front() != '\'' && text.front() != '"')) return {};
  if (text.find('\\') != text.npos) return {};
  return text.substr(1, text.size() - 2);
}

/// REPLACE(@@sql_mode, '…', ''), as a query or not: no mode's name comes of others' by taking one
/// piece of text out of them.
bool takes_from_mode(MysqlWords::const_iterator begin, MysqlWords::const_iterator end) {
  std::vector<const MysqlWord*> words;
  for (auto at = begin; at != end; ++at) {
    if (!at->is_symbol("(") && !at->is_symbol(")") && !at->is("select")) words.push_back(&*at);
  }
  if (words.size() != 6 || !words[0]->is("replace")) return false;
  const auto replacement = plain_string(*words[5]);
  return words[1]->token.kind == MysqlTokenKind::kSystemVariable &&
         variable_of(*words[1]) == "sql_mode" && words[2]->is_symbol(",") &&
         plain_string(*words[3]) && words[4]->is_symbol(",") && replacement && replacement->empty();
}

}  // namespace

bool MysqlReading::reads(std::string_view rest) const {
  if (!knows_mode_ && rest.find_first_of("\"\\") != rest.npos) return false;
  return !hides_ascii_ || lexing_.unsafe_charset ||
         std::all_of(rest.begin(), rest.end(), [](char c) { return (c & 0x80) == 0; });
}

void MysqlReading::pass(const MysqlWords& statement, bool is_conditional) {
  if (statement.empty()) return;
  const MysqlWord& first = statement.front();
  if (first.is("prepare") || first.is("execute")) {
    if (std::any_of(statement.begin(), statement.end(), names_mode)) knows_mode_ = false;
    return;
  }
  // SET STATEMENT puts back what it sets. Of all others, functions and triggers among them, any may
  // set a user variable.
  if (!first.is("set") || (statement.size() > 1 && statement[1].is("statement"))) {
    return kept_.clear();
  }
  trusts_variables_ = !may_assign_within(statement);
  if (!trusts_variables_) kept_.clear();
  scope_is_global_ = false;
  auto begin = statement.begin() + 1;
  int depth = 0;
  for (auto at = begin; at != statement.end(); ++at) {
    if (at->is_symbol("(")) ++depth;
    if (at->is_symbol(")")) --depth;
    if (depth != 0 || !at->is_symbol(",")) continue;
    assign(begin, at, is_conditional);
    begin = at + 1;
  }
  assign(begin, statement.end(), is_conditional);
}

/// A scope holds for what is assigned behind it, too, until another is named.
void MysqlReading::assign(Words begin, Words end, bool is_conditional) {
  constexpr std::array<std::string_view, 3> kForAll = {"global", "persist", "persist_only"};
  if (begin == end) return;
  if (begin->is("names") || begin->is("charset")) return set_charset(begin + 1, end);
  if (begin->is("character") || begin->is("char"))
    return set_charset(end - begin > 2 ? begin + 2 : end, end);
  const bool for_all = std::find(kForAll.begin(), kForAll.end(), begin->lower) != kForAll.end();
  if (for_all || begin->is("session") || begin->is("local")) {
    scope_is_global_ = for_all;
    if (++begin == end) return;
  }
  const MysqlWord& target = *begin++;
  if (begin != end && (begin->is_symbol("=") || begin->is_symbol(":="))) ++begin;
  if (target.token.kind == MysqlTokenKind::kUserVariable) {
    const bool is_sure = trusts_variables_ && !is_conditional;
    const KnownMode mode = is_sure ? mode_of(begin, end) : std::nullopt;
    kept_.insert_or_assign(user_variable(target), mode);
    return;
  }
  if (scope_is_global_ && target.token.kind != MysqlTokenKind::kSystemVariable) return;
  const std::string name = variable_of(target);
  if (name == "character_set_client") return set_charset(begin, end);
  if (name == "sql_mode") set_mode(mode_of(begin, end), is_conditional);
}

void MysqlReading::set_mode(KnownMode mode, bool is_conditional) {
  const Mode now{lexing_.ansi_quotes, lexing_.no_backslash_escapes};
  if (mode && is_conditional && *mode != now) mode.reset();
  if (is_conditional && !knows_mode_) return;
  knows_mode_ = mode.has_value();
  if (!mode) return;
  lexing_.ansi_quotes = mode->ansi_quotes;
  lexing_.no_backslash_escapes = mode->no_backslash_escapes;
}

void MysqlReading::set_charset(Words begin, Words end) {
  constexpr std::array<std::string_view, 5> kUnsafe = {"sjis", "cp932", "gbk", "big5", "gb18030"};
  hides_ascii_ = true;
  if (begin == end) return;
  const auto text = plain_string(*begin);
  const std::string name = text ? lowered(*text) : begin->lower;
  hides_ascii_ = name.empty() || std::find(kUnsafe.begin(), kUnsafe.end(), name) != kUnsafe.end();
}

/// Words of no meaning to the server's reading are not looked at. ORACLE has a grammar of its own.
MysqlReading::KnownMode MysqlReading::mode_of_text(std::string_view text) {
  const std::string words = lowered(text);
  if (words.find("oracle") != std::string::npos) return std::nullopt;
  Mode mode;
  for (const std::string_view word : {"ansi", "db2", "maxdb", "mssql", "postgresql"}) {
    mode.ansi_quotes = mode.ansi_quotes || words.find(word) != std::string::npos;
  }
  mode.no_backslash_escapes = words.find("no_backslash_escapes") != std::string::npos;
  return mode;
}

/// A constant, a variable that holds a mode, CONCAT(@@sql_mode, ',…'), which has what its parts
/// have where commas keep them apart, or REPLACE(@@sql_mode, '…', '') of one that has nothing.
MysqlReading::KnownMode MysqlReading::mode_of(Words begin, Words end) const {
  if (begin == end) return std::nullopt;
  const bool is_alone = end - begin == 1;
  if (!is_alone && !begin->is("concat")) {
    const bool has_nothing = knows_mode_ && !lexing_.ansi_quotes && !lexing_.no_backslash_escapes;
    return has_nothing && takes_from_mode(begin, end) ? KnownMode(Mode{}) : std::nullopt;
  }
  Mode all;
  std::string constants;
  // Whether what stands to the left of the next part is a variable, or a constant in midst of a
  // word.
  bool follows_variable = false;
  for (auto at = begin; at != end; ++at) {
    KnownMode part = Mode{};
    const bool is_variable = at->token.kind == MysqlTokenKind::kUserVariable ||
                             at->token.kind == MysqlTokenKind::kSystemVariable;
    if (is_variable && (follows_variable || (!constants.empty() && constants.back() != ','))) {
      return std::nullopt;
    }
    if (const auto text = plain_string(*at)) {
      if (follows_variable && !text->empty() && text->front() != ',') return std::nullopt;
      constants += *text;
      follows_variable = follows_variable && text->empty();
    } else if (at->token.kind == MysqlTokenKind::kUserVariable) {
      const auto kept = kept_.find(user_variable(*at));
      part = kept == kept_.end() ? std::nullopt : kept->second;
    } else if (at->token.kind == MysqlTokenKind::kSystemVariable) {
      const bool is_known = variable_of(*at) == "sql_mode" && knows_mode_;
      part = is_known ? KnownMode(Mode{lexing_.ansi_quotes, lexing_.no_backslash_escapes})
                      : std::nullopt;
    } else if (is_alone && (at->token.text == "0" ||
                            (at->token.kind == MysqlTokenKind::kWord && !at->is("default")))) {
      constants += at->token.text;
    } else if (!at->is_symbol("(") && !at->is_symbol(")") && !at->is_symbol(",") &&
               !at->is("concat")) {
      part.reset();
    }
    if (!part) return std::nullopt;
    follows_variable = follows_variable || is_variable;
    all.ansi_quotes = all.ansi_quotes || part->ansi_quotes;
    all.no_backslash_escapes = all.no_backslash_escapes || part->no_backslash_escapes;
  }
  const KnownMode said = mode_of_text(constants);
  if (!said) return std::nullopt;
  all.ansi_quotes = all.ansi_quotes || said->ansi_quotes;
  all.no_backslash_escapes = all.no_backslash_escapes || said->no_backslash_escapes;
  return all;
}

}  // namespace hyperdrive::proxy::sql
