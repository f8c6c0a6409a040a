// What texts ask about the statement before them, and what they leave for those behind them.
#include "proxy/session/mysql/last_statement.hpp"

#include <algorithm>

namespace hyperdrive::proxy::session::mysql {

namespace state = sql::state;
using sql::Effect;

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool is_name_byte(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

bool is_symbol_at(const std::vector<sql::MysqlToken>& tokens, std::size_t at,
                  std::string_view symbol) {
  return at < tokens.size() && tokens[at].kind == sql::MysqlTokenKind::kSymbol &&
         tokens[at].text == symbol;
}

}  // namespace

std::size_t find_word(std::string_view text, std::string_view word, std::size_t from) {
  const auto same = [](char a, char b) { return lower(a) == b; };
  while (true) {
    const auto at = std::search(text.begin() + static_cast<std::ptrdiff_t>(from), text.end(),
                                word.begin(), word.end(), same);
    if (at == text.end()) return text.npos;
    const auto begin = static_cast<std::size_t>(at - text.begin());
    const std::size_t end = begin + word.size();
    const bool whole = (begin == 0 || !is_name_byte(text[begin - 1])) &&
                       (end == text.size() || !is_name_byte(text[end]));
    if (whole) return begin;
    from = begin + 1;
  }
}

namespace {

/// VALUES (1), (2): MariaDB counts nothing.
bool begins_with_values(std::string_view text) {
  const std::size_t at = text.find_first_not_of(" \t\r\n(");
  return at != text.npos && find_word(text.substr(0, at + 7), "values", at) == at;
}

/// Of what was before the text, not of one of its own queries.
bool asks_found_rows(const TextInfo& text) {
  const std::string_view words = text.text;
  for (const sql::Statement& one : text.analysis->statements) {
    const std::string_view part = one.length == 0 ? words : words.substr(one.offset, one.length);
    if (has_word(part, "found_rows")) return true;
    const bool counts = one.effect == Effect::kRead && one.command == "SELECT";
    if (counts && (one.state & state::kLastStatement) == 0) return false;
  }
  return has_word(words, "found_rows");
}

using Tokens = std::vector<sql::MysqlToken>;

Tokens tokens_of(const TextInfo& text) {
  Tokens tokens;
  sql::MysqlLexer lexer(text.text, text.lexing);
  for (auto token = lexer.next(); token.kind != sql::MysqlTokenKind::kEnd; token = lexer.next()) {
    tokens.push_back(token);
  }
  return tokens;
}

bool is_word_at(const Tokens& tokens, std::size_t at, std::string_view word) {
  return at < tokens.size() && tokens[at].text.size() == word.size() &&
         find_word(tokens[at].text, word) == 0;
}

/// A call that draws from a sequence or asks one: the sequence's name, and which tokens it is.
struct SequenceCall {
  std::string name;
  std::size_t first = 0, end = 0;
};

/// `call`(name), `phrase` VALUE FOR name, name.`member`
std::vector<SequenceCall> sequence_calls(const Tokens& tokens, std::string_view call,
                                         std::string_view phrase, std::string_view member) {
  const auto named = [&](std::size_t first, std::size_t at, bool closes) {
    SequenceCall found{{}, first, at + 1};
    if (at < tokens.size()) found.name = sql::mysql_name(tokens[at]);
    if (is_symbol_at(tokens, at + 1, ".") && at + 2 < tokens.size()) {
      found.name += '.' + sql::mysql_name(tokens[at + 2]);
      found.end += 2;
    }
    if (closes) ++found.end;
    return found;
  };
  std::vector<SequenceCall> calls;
  for (std::size_t at = 0; at < tokens.size(); ++at) {
    if (is_word_at(tokens, at, call) && is_symbol_at(tokens, at + 1, "(")) {
      calls.push_back(named(at, at + 2, true));
    } else if (is_word_at(tokens, at, phrase) && is_word_at(tokens, at + 1, "value") &&
               is_word_at(tokens, at + 2, "for")) {
      calls.push_back(named(at, at + 3, false));
    } else if (at >= 2 && is_word_at(tokens, at, member) && is_symbol_at(tokens, at - 1, ".")) {
      const bool qualified = at >= 4 && is_symbol_at(tokens, at - 3, ".");
      const std::size_t first = qualified ? at - 4 : at - 2;
      std::string name = sql::mysql_name(tokens[at - 2]);
      if (qualified) name = sql::mysql_name(tokens[first]) + '.' + name;
      calls.push_back({std::move(name), first, at + 1});
    }
  }
  return calls;
}

std::vector<SequenceCall> draws(const Tokens& tokens) {
  return sequence_calls(tokens, "nextval", "next", "nextval");
}

std::vector<std::string> names_of(std::vector<SequenceCall> calls) {
  std::vector<std::string> names;
  for (SequenceCall& call : calls) names.push_back(std::move(call.name));
  return names;
}

/// A whole item of a SELECT's list, or of a row of VALUES: nothing before or behind it can keep it
/// from being computed.
bool is_whole_item(const Tokens& tokens, const SequenceCall& call) {
  std::vector<std::size_t> open;
  for (std::size_t at = 0; at < call.first; ++at) {
    if (is_symbol_at(tokens, at, "(")) open.push_back(at);
    if (is_symbol_at(tokens, at, ")") && !open.empty()) open.pop_back();
  }
  if (call.first == 0 || open.size() > 1) return false;
  const std::size_t before = call.first - 1;
  const bool is_next = is_symbol_at(tokens, before, ",");
  if (open.empty()) {
    if (!is_next && !is_word_at(tokens, before, "select")) return false;
  } else {
    const std::size_t row = open.front();
    const bool in_values =
        row > 0 && (is_word_at(tokens, row - 1, "values") || is_word_at(tokens, row - 1, "value") ||
                    is_symbol_at(tokens, row - 1, ","));
    if (!in_values || (!is_next && before != row)) return false;
  }
  return call.end >= tokens.size() || is_symbol_at(tokens, call.end, ",") ||
         is_symbol_at(tokens, call.end, ")") || is_symbol_at(tokens, call.end, ";") ||
         is_word_at(tokens, call.end, "as");
}

}  // namespace

std::vector<std::string> drawn_sequences(const TextInfo& text) {
  return names_of(draws(tokens_of(text)));
}
std::vector<std::string> asked_sequences(const TextInfo& text) {
  return names_of(sequence_calls(tokens_of(text), "lastval", "previous", "currval"));
}

std::string surely_drawn(TextInfo& text) {
  if (text.plain || text.hidden || text.cut) return {};
  const auto& statements = TextMemo::analysis(text).statements;
  if (statements.size() != 1) return {};
  const Effect effect = statements.front().effect;
  if (effect != Effect::kRead && effect != Effect::kWrite) return {};
  for (const std::string_view word :
       {"from", "where", "limit", "having", "exists", "union", "update", "ignore"}) {
    if (has_word(text.text, word)) return {};
  }
  const Tokens tokens = tokens_of(text);
  std::vector<SequenceCall> calls = draws(tokens);
  const bool surely = std::all_of(calls.begin(), calls.end(), [&](const SequenceCall& call) {
    return is_whole_item(tokens, call);
  });
  return calls.empty() || !surely ? std::string() : std::move(calls.back().name);
}

Asks asks_of(const TextInfo& text) {
  Asks asks;
  // A plain one asks nothing.
  if (text.plain || !text.analysis || text.analysis->statements.empty()) return asks;
  const std::string_view words = text.text;
  const sql::Statement& first = text.analysis->statements.front();
  const bool first_asks = (first.state & state::kLastStatement) != 0;
  if (only_defines(*text.analysis)) return asks;
  // What changes it from within may leave it as it was.
  asks.insert_id =
      has_word(words, "last_insert_id") || has_word(words, "identity") || changes_insert_id(text);
  asks.found_rows = asks_found_rows(text);
  asks.row_count = first_asks && has_word(words, "row_count");
  asks.sequence =
      has_word(words, "lastval") || has_word(words, "previous") || has_word(words, "currval");
  asks.diagnostics = (first.effect == Effect::kShow && first_asks) ||
                     has_word(words, "warning_count") || has_word(words, "error_count") ||
                     has_word(words, "diagnostics");
  return asks;
}

bool may_draw(TextInfo& text) {
  if (text.plain || text.hidden || text.cut) return !text.read_only;
  const auto& statements = TextMemo::analysis(text).statements;
  const bool writes = std::any_of(statements.begin(), statements.end(), [](const auto& one) {
    return one.effect == Effect::kWrite || one.effect == Effect::kExecute || one.unknown_targets;
  });
  return writes || has_word(text.text, "nextval") || has_word(text.text, "next") ||
         has_word(text.text, "setval");
}

namespace {

/// INSERT, REPLACE, and UPDATE and DELETE of one table, without queries of their own.
bool writes_alone(std::string_view text) {
  for (const std::string_view word : {"select", "join", "using", "with", "table"}) {
    if (has_word(text, word)) return false;
  }
  const char first = text.empty() ? '\0' : lower(text[text.find_first_not_of(" \t\r\n(")]);
  if (first == 'i' || first == 'r') return true;
  const std::size_t end = std::min(find_word(text, "set"), find_word(text, "where"));
  return (first == 'u' || first == 'd') && text.substr(0, end).find(',') == text.npos;
}

Counting counting_of(const sql::Statement& statement, std::string_view text, bool is_mariadb) {
  switch (statement.effect) {
    case Effect::kRead:
      if (has_word(text, "into") || statement.command == "TABLE") return Counting::kUnsure;
      if (!begins_with_values(text)) return Counting::kCounts;
      for (const std::string_view word : {"union", "except", "intersect", "select"}) {
        if (has_word(text, word)) return Counting::kUnsure;
      }
      return is_mariadb ? Counting::kLeaves : Counting::kUnsure;
    case Effect::kSet:
    case Effect::kSetLocal:
    case Effect::kBegin:
    case Effect::kCommit:
    case Effect::kRollback:
      return has_word(text, "select") ? Counting::kUnsure : Counting::kLeaves;
    case Effect::kWrite:
      return writes_alone(text) ? Counting::kLeaves : Counting::kUnsure;
    case Effect::kUnknownWrite: {
      const bool defines = statement.command == "CREATE" || statement.command == "DROP" ||
                           statement.command == "ALTER";
      return defines && !has_word(text, "select") ? Counting::kLeaves : Counting::kUnsure;
    }
    default:
      return Counting::kUnsure;
  }
}

}  // namespace

Counting counting_of(TextInfo& text, bool is_mariadb) {
  if (text.cut) return Counting::kUnsure;
  if (surely_counts(text)) return Counting::kCounts;
  if (text.plain && !text.text.empty() && text.text.size() <= TextMemo::kMaxKept) {
    const char first = lower(text.text.front());
    if (!text.read_only && first != 'w') {
      return writes_alone(text.text) ? Counting::kLeaves : Counting::kUnsure;
    }
  }
  const auto& statements = TextMemo::analysis(text).statements;
  const std::string_view whole = text.text;
  for (auto at = statements.rbegin(); at != statements.rend(); ++at) {
    const Counting one = counting_of(
        *at, at->length == 0 ? whole : whole.substr(at->offset, at->length), is_mariadb);
    if (one != Counting::kLeaves) return one;
  }
  return Counting::kLeaves;
}

bool changes_insert_id(const TextInfo& text) {
  for (const sql::Statement& statement : text.analysis->statements) {
    const bool is_call = statement.command == "CALL" || statement.effect == Effect::kExecute;
    if (is_call || is_compound(statement)) return true;
  }
  // LAST_INSERT_ID(n)
  constexpr std::string_view kName = "last_insert_id";
  const std::string_view words = text.text;
  for (std::size_t at = find_word(words, kName); at != words.npos;
       at = find_word(words, kName, at + 1)) {
    std::size_t next = words.find_first_not_of(" \t\r\n", at + kName.size());
    if (next == words.npos || words[next] != '(') continue;
    next = words.find_first_not_of(" \t\r\n", next + 1);
    if (next != words.npos && words[next] != ')') return true;
  }
  return false;
}

bool empties_diagnostics(TextInfo& text, bool is_mariadb) {
  const sql::Analysis& analysis = TextMemo::analysis(text);
  if (asks_of(text).diagnostics) return false;
  if (!is_mariadb || !analysis.tables.empty()) return true;
  return std::any_of(analysis.statements.begin(), analysis.statements.end(), [](const auto& one) {
    return !one.writes.empty() || (one.unknown_targets && one.command != "DO") ||
           one.effect == Effect::kCreateTemp ||
           (one.effect == Effect::kShow && (one.state & state::kLastStatement) == 0);
  });
}

}  // namespace hyperdrive::proxy::session::mysql
