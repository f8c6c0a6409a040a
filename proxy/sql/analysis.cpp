#include "proxy/sql/analysis.hpp"

#include <array>

#include "proxy/sql/abridge.hpp"
#include "proxy/sql/hints.hpp"
#include "proxy/sql/lexer.hpp"
#include "proxy/sql/parse.hpp"
#include "proxy/sql/query_reader.hpp"
#include "proxy/sql/skim.hpp"
#include "proxy/sql/statement_reader.hpp"

namespace hyperdrive::proxy::sql {
namespace {

/// Whether every byte means itself whatever standard_conforming_strings and client_encoding say.
bool is_plain(std::string_view text) {
  for (const char c : text) {
    if (c == '\\' || static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

void read_statements(const Tree& tree, std::string_view text, Analysis& analysis,
                     QueryReader& reader) {
  analysis.literal_blind = true;
  for (const Node element : tree.root()["stmts"]) {
    const Node wrapper = element["stmt"];
    if (!is_literal_blind(wrapper)) analysis.literal_blind = false;
    Statement statement = read_statement(wrapper, text, reader);
    statement.offset = static_cast<std::size_t>(element["stmt_location"].number());
    const int length = element["stmt_len"].number();
    statement.length =
        length > 0 ? static_cast<std::size_t>(length) : text.size() - statement.offset;
    analysis.statements.push_back(std::move(statement));
  }
  // Places in the text move with its literals.
  if (analysis.statements.size() > 1) {
    analysis.literal_blind = false;
  } else if (!analysis.statements.empty()) {
    analysis.statements.front().offset = analysis.statements.front().length = 0;
  }
}

bool is_query(const Statement& statement) {
  return statement.command == "SELECT" || statement.command == "VALUES" ||
         statement.command == "SELECT INTO";
}

/// Types whose input knows no `now` and whose values reach a date only by another cast.
bool is_inert_type(const Name& type) {
  constexpr std::array<std::string_view, 22> kInert = {
      "text",   "varchar", "bpchar",  "char",     "name",     "int2",   "int4",  "int8",
      "float4", "float8",  "numeric", "bool",     "uuid",     "json",   "jsonb", "bytea",
      "inet",   "cidr",    "bit",     "interval", "tsvector", "tsquery"};
  if (!type.schema.empty() && type.schema != "pg_catalog") return false;
  for (const std::string_view inert : kInert) {
    if (type.name == inert) return true;
  }
  return false;
}

void judge_input_words(Analysis& analysis) {
  std::erase_if(analysis.input_words,
                [](const InputWord& word) { return is_inert_type(word.cast); });
  for (const Cast& cast : analysis.casts) {
    if (!is_inert_type(cast.type)) analysis.text_may_become_time = true;
  }
  for (const Cast& cast : analysis.calls_as_casts) {
    constexpr std::array<std::string_view, 7> kTimes = {
        "date", "timestamp", "timestamptz", "time", "timetz", "daterange", "tstzrange"};
    for (const std::string_view time : kTimes) {
      if (cast.type.name == time) analysis.text_may_become_time = true;
    }
  }
}

std::string quoted_word_reason(const InputWord& word) {
  return "'" + word.literal.substr(0, 40) +
         "' may be read as a date or time that depends on the moment it is asked";
}

void judge(Analysis& analysis, const QueryReader& reader) {
  const auto refuse = [&](CacheStatus status, std::string reason) {
    analysis.status = status;
    analysis.reason = std::move(reason);
  };
  analysis.uncacheable = reader.uncacheable_reason();
  if (analysis.statements.empty()) return refuse(CacheStatus::kNotAQuery, "the text is empty");
  if (analysis.statements.size() > 1) {
    return refuse(CacheStatus::kMultipleStatements,
                  std::to_string(analysis.statements.size()) + " statements in one text");
  }
  const Statement& only = analysis.statements.front();
  if (!is_query(only)) return refuse(CacheStatus::kNotAQuery, only.command + " is not a query");
  if (!reader.volatile_reason().empty()) {
    return refuse(CacheStatus::kVolatile, reader.volatile_reason());
  }
  for (const InputWord& word : analysis.input_words) {
    // What is compared with a column is judged by the column's type, in the catalog.
    if (word.column.empty() && !word.is_pattern)
      return refuse(CacheStatus::kVolatile, quoted_word_reason(word));
  }
  analysis.status = CacheStatus::kMiss;
}

/// Above this the grammar takes ten milliseconds and more for what the words of an INSERT of values
/// tell as well; and above the other one, of any statement that only writes.
constexpr std::size_t kMostParsedInsert = std::size_t{8} << 10;
constexpr std::size_t kMostParsedWrite = std::size_t{64} << 10;

/// A long statement that writes, by its words; null if the grammar should rather be asked.
std::shared_ptr<Analysis> read_long_write(std::string_view text, const Hints& hints) {
  if (text.size() <= kMostParsedInsert) return nullptr;
  const std::string_view first = Lexer(text).next_significant().text;
  const bool inserts = equals_word(first, "insert");
  const bool writes = inserts || equals_word(first, "update") || equals_word(first, "delete") ||
                      equals_word(first, "merge");
  const bool long_for_all = text.size() > kMostParsedWrite;
  if (!inserts && !(writes && long_for_all)) return nullptr;
  auto analysis = std::make_shared<Analysis>();
  skim(text, *analysis);
  const bool single = analysis->statements.size() == 1;
  const bool only_values = single && analysis->only_values;
  if (!only_values && !long_for_all) return nullptr;
  analysis->hints = hints;
  analysis->status = single ? CacheStatus::kNotAQuery : CacheStatus::kMultipleStatements;
  analysis->reason = single ? "it is not a query but writes" : "several statements in one text";
  if (only_values) {
    analysis->literal_blind = true;  // no literal was looked at
    analysis->statements.front().offset = analysis->statements.front().length = 0;
  }
  return analysis;
}

/// Null, with the `error`, if the grammar does not take it.
std::shared_ptr<Analysis> read_tree(std::string_view text, const Hints& hints, std::string& error) {
  const Parsed parsed = parse(text);
  if (!parsed.tree) {
    error = parsed.error;
    return nullptr;
  }
  auto analysis = std::make_shared<Analysis>();
  analysis->hints = hints;
  QueryReader reader(*analysis);
  read_statements(*parsed.tree, text, *analysis, reader);
  judge_input_words(*analysis);
  judge(*analysis, reader);
  return analysis;
}

/// Above this the grammar takes a millisecond and more: an abridged text is tried first.
constexpr std::size_t kMostUnabridged = std::size_t{2} << 10;

std::shared_ptr<Analysis> read_by_grammar(std::string_view text, const Hints& hints,
                                          std::string& error) {
  if (text.size() > kMostUnabridged) {
    const std::string shorter = abridged(text);
    const bool worthwhile = shorter.size() < text.size() / 2;
    auto analysis = worthwhile ? read_tree(shorter, hints, error) : nullptr;
    // What is left out counts only where literals do.
    if (worthwhile && (!analysis || analysis->literal_blind)) return analysis;
  }
  return read_tree(text, hints, error);
}

}  // namespace

std::string_view name(CacheStatus status) {
  constexpr std::array<std::string_view, kCacheStatusCount> kNames = {
      "hit",         "miss",       "stale",          "disabled",
      "uncacheable", "volatile",   "transaction",    "multiplestatements",
      "notaquery",   "parseerror", "oversizedquery", "oversizedresult",
      "bypass"};
  return kNames[static_cast<std::size_t>(status)];
}

std::shared_ptr<const Analysis> analyse(std::string_view text, Lexing lexing) {
  auto analysis = std::make_shared<Analysis>();
  analysis->hints = read_hints(text);
  if (text.size() > kMaxQueryBytes) {
    skim(text, *analysis);
    analysis->status = CacheStatus::kOversizedQuery;
    analysis->reason = "the text alone is over 1 MiB";
  } else if (lexing == Lexing::kUnsure && !is_plain(text)) {
    skim(text, *analysis);
    for (Statement& statement : analysis->statements) statement.state |= state::kUnknown;
    analysis->status = CacheStatus::kParseError;
    analysis->reason =
        "holds a backslash or non-ASCII bytes, which standard_conforming_strings = off or the "
        "client_encoding may change";
  } else if (auto written = read_long_write(text, analysis->hints)) {
    analysis = std::move(written);
  } else if (std::string error; auto read = read_by_grammar(text, analysis->hints, error)) {
    analysis = std::move(read);
  } else {
    skim(text, *analysis);
    analysis->status = CacheStatus::kParseError;
    analysis->reason = std::move(error);
  }
  if (analysis->hints.no_cache) {
    analysis->status = CacheStatus::kBypass;
    analysis->reason = "a comment says no-cache";
  }
  return analysis;
}

bool has_input_word(std::string_view text) {
  constexpr std::array<std::string_view, 4> kWords = {"now", "today", "tomorrow", "yesterday"};
  const auto is_letter = [](char c) {
    c = static_cast<char>(c | 0x20);
    return c >= 'a' && c <= 'z';
  };
  for (std::size_t i = 0; i < text.size();) {
    if (!is_letter(text[i])) {
      ++i;
      continue;
    }
    std::size_t end = i + 1;
    while (end < text.size() && is_letter(text[end])) ++end;
    const std::size_t length = end - i;
    if (length >= 3 && length <= 9) {
      for (const std::string_view word : kWords) {
        if (equals_word(text.substr(i, length), word)) return true;
      }
    }
    i = end;
  }
  return false;
}

bool parameter_is_volatile(const Analysis& analysis, std::uint32_t type_oid,
                           std::string_view text_value) {
  // pg_type.dat: bool, bytea, int8, int2, int4, oid, float4, float8, numeric, uuid, interval.
  constexpr std::array<std::uint32_t, 11> kInert = {16,  17,  20,   21,   23,  26,
                                                    700, 701, 1700, 2950, 1186};
  // char, name, text, json, bpchar, varchar, jsonb.
  constexpr std::array<std::uint32_t, 7> kTexts = {18, 19, 25, 114, 1042, 1043, 3802};
  const auto among = [type_oid](const auto& oids) {
    for (const std::uint32_t oid : oids) {
      if (oid == type_oid) return true;
    }
    return false;
  };
  if (among(kInert)) return false;
  if (among(kTexts) && !analysis.text_may_become_time) return false;
  return has_input_word(text_value);
}

std::size_t Analysis::bytes() const {
  std::size_t total = sizeof(Analysis) + reason.capacity() + uncacheable.capacity();
  const auto add_names = [&](const auto& names) {
    for (const auto& entry : names) total += sizeof(entry) + 32;
  };
  for (const Statement& statement : statements) {
    total += sizeof(statement) + 64;
    add_names(statement.writes);
    add_names(statement.settings);
  }
  add_names(tables);
  add_names(functions);
  add_names(operators);
  add_names(casts);
  add_names(calls_as_casts);
  add_names(attributes);
  add_names(aliases);
  add_names(operands);
  add_names(input_words);
  return total;
}

}  // namespace hyperdrive::proxy::sql
