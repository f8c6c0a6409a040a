#include "proxy/sql/mysql_shape.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "proxy/sql/mysql_analysis.hpp"

using namespace hyperdrive::proxy::sql;

namespace {

std::optional<std::string> shape(std::string_view text, MysqlLexing lexing = {}) {
  std::string out;
  if (!append_mysql_shape(out, text, lexing)) return std::nullopt;
  return out;
}

/// All of an analysis.
std::string told(const Analysis& analysis) {
  std::ostringstream out;
  const auto add = [&](const auto&... parts) { ((out << parts << '|'), ...); };
  const auto names = [&](const std::vector<Name>& list) {
    for (const Name& one : list) add(one.schema, one.name);
    add("/");
  };
  const auto words = [&](const std::vector<std::string>& list) {
    for (const std::string& one : list) add(one);
    add("/");
  };
  for (const Statement& one : analysis.statements) {
    add(static_cast<int>(one.effect), one.command, one.only_adds, one.unknown_targets);
    add(one.argument, one.state, one.transaction.isolation, one.transaction.chain);
    names(one.writes);
    for (const Setting& setting : one.settings) add(setting.name, setting.value);
  }
  add(static_cast<int>(analysis.status), analysis.reason, analysis.uncacheable);
  names(analysis.tables);
  for (const Call& one : analysis.functions) {
    add(one.name.schema, one.name.name, one.arguments, one.variadic);
  }
  add(analysis.text_may_become_time, analysis.hints.no_cache, analysis.hints.tags.size());
  const MysqlTraits& traits = analysis.mysql;
  words(traits.ctes);
  words(traits.words);
  add(traits.makes_times, traits.combines, traits.has_executable_comment);
  return out.str();
}

}  // namespace

TEST_CASE("texts that differ in their values only have one shape") {
  const std::pair<const char*, const char*> pairs[] = {
      {"select c from sbtest1 where id=50123", "select c from sbtest1 where id=7"},
      {"select * from t where a = 'x' limit 10", "select * from t where a = 'it''s' limit 2"},
      {"select * from t where a = 'x'", "select * from t where a = 'it\\'s -- /* # ` \" @x'"},
      {"select * from t where a = \"x\"", "select * from t where a = 'y'"},
      {"insert into t values (1, 2.5, '')", "insert into t values (10, 3, 'abc')"},
      {"update t set a = -1 where b in (1, 2)", "update t set a = -99 where b in (3, 456)"},
      {"select * from t where d > now() - interval 1 day",
       "select * from t where d > now() - interval 30 day"}};
  for (const auto& [one, other] : pairs) {
    CAPTURE(one, other);
    REQUIRE(shape(one));
    CHECK(shape(one) == shape(other));
  }
}

TEST_CASE("texts that differ in more have different shapes") {
  const std::pair<const char*, const char*> pairs[] = {
      {"select a from t1", "select a from t2"},
      {"select a from t", "select A from t"},
      {"select `a1` from t", "select `a2` from t"},
      {"select `a'1'` from t", "select `a'2'` from t"},
      {"select a1 from t", "select a2 from t"},
      {"select 1", "select '1'"},
      {"select 1", "select -1"},
      {"select 1", "select 1;"},
      {"select 1 a", "select 1a"},
      {"select 1e5 from t", "select 1e6 from t"},
      {"select 0x1f", "select 0x2f"},
      {"select t.1a from t", "select t.2a from t"},
      {"select 1.e(y)", "select 2.e(y)"},
      {"select 'a' 'b'", "select 'a''b'"},
      {"select _latin1'x'", "select _utf8mb4'x'"},
      {"select f(1)", "select f (1)"},
      {"select * from t limit 1", "select * from t limit 1, 2"},
      {"select * from t where d > now() - interval 1 day",
       "select * from t where d > now() - interval 1 hour"},
      {"select null", "select true"},
      {"select ?", "select 1"}};
  for (const auto& [one, other] : pairs) {
    CAPTURE(one, other);
    REQUIRE(shape(one));
    REQUIRE(shape(other));
    CHECK(shape(one) != shape(other));
  }
}

TEST_CASE("what may be read in another way has no shape") {
  for (const char* text : {"select 1 -- 2", "select 1--2", "select 1 # 2", "select /* 1 */ 1",
                           "select /*!1*/ 1", "select @x", "select @@x", "select 'a", "select \"a",
                           "select `a", "select 'a\\'", "select \\N", "select x'40'", "select B'1'",
                           "select n'x'", "select \x01", "select 1\x7f"}) {
    CAPTURE(text);
    CHECK_FALSE(shape(text));
  }
  CHECK_FALSE(shape("select 1", {.unsafe_charset = true}));
  CHECK_FALSE(shape("select \"a\"", {.ansi_quotes = true}));
  CHECK_FALSE(shape("select 'a\\'"));
  CHECK(shape("select 'a\\'", {.no_backslash_escapes = true}));
  CHECK_FALSE(shape("select '" + std::string(kMaxShapedText, 'a') + "'"));
  // Where a backslash is none, the text goes on behind it.
  CHECK(shape("select 'a\\', b, ' ', c", {.no_backslash_escapes = true}) !=
        shape("select 'a', b, ' ', c, d", {.no_backslash_escapes = true}));
}

TEST_CASE("texts of one shape have one analysis") {
  const std::vector<std::string> pieces = {
      "1",        "20",      "3.5",    "4.",       ".5",       "1e5",  "1e",     "1.e",
      "0x1f",     "5abc",    "'x'",    "'it''s'",  "'a\\'b'",  "''",   "\"q\"",  "'; drop'",
      "'/* '",    "'now()'", "'time'", "`t`",      "`a``b`",   "t",    "db",     "now",
      "sum",      "f",       "time",   "date",     "in",       "into", "limit",  "from",
      "where",    "join",    "as",     "x",        "interval", "day",  "hour",   "null",
      "true",     "default", "values", "select",   "union",    "for",  "update", "natural",
      "_utf8'x'", "_utf8",   "x'40'",  "n'a'",     "+",        "-",    "*",      "/",
      "(",        ")",       "(",      ")",        ",",        ",",    ".",      ".",
      "=",        "<",       ":",      ";",        "?",        "%",    "!",      "||",
      "{",        "}",       "$1",     "\xc3\xa9", "@x",       "--",   "#",      "\\"};
  const std::vector<std::string> beginnings = {"select ",
                                               "insert into t values ",
                                               "update t set a = ",
                                               "delete from t where ",
                                               "with q as (select ",
                                               "select * from t where a in ("};
  std::mt19937 random(20261126);
  const auto below = [&](std::size_t count) { return random() % count; };
  const std::string values[] = {"7",          "123456",       "8.25", "'y'",
                                "'a''b\\\\'", "'(select 1)'", "\"z\""};
  for (const MysqlLexing lexing : {MysqlLexing{}, MysqlLexing{.ansi_quotes = true},
                                   MysqlLexing{.no_backslash_escapes = true}}) {
    std::map<std::string, std::pair<std::string, std::string>> known;
    std::size_t met = 0;
    for (int i = 0; i < 4000; ++i) {
      std::vector<std::string> parts;
      for (std::size_t n = 1 + below(9); n > 0; --n) parts.push_back(pieces[below(pieces.size())]);
      std::vector<const char*> between(parts.size());
      for (const char*& blank : between) blank = below(3) == 0 ? "" : " ";
      const std::string& begin = beginnings[below(beginnings.size())];
      for (int variant = 0; variant < 4; ++variant) {
        std::string text = begin;
        for (std::size_t k = 0; k < parts.size(); ++k) {
          const char first = parts[k].front();
          const bool is_value = first == '\'' || first == '"' || (first >= '0' && first <= '9');
          text += is_value && variant > 0 ? values[below(std::size(values))] : parts[k];
          text += between[k];
        }
        const auto its = shape(text, lexing);
        if (!its) continue;
        const std::string analysis = told(*analyse_mysql(text, lexing));
        const auto [at, fresh] = known.try_emplace(*its, text, analysis);
        if (fresh || at->second.first == text) continue;
        ++met;
        CAPTURE(text, at->second.first);
        REQUIRE(analysis == at->second.second);
      }
    }
    CHECK(met > 500);
  }
}
