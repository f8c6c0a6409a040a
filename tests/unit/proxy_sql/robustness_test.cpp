// Any bytes are survived, in bounded time and stack.
#include <catch2/catch.hpp>
#include <chrono>
#include <random>
#include <thread>

#include "proxy/sql/analysis.hpp"
#include "proxy/sql/class_key.hpp"
#include "proxy/sql/mysql_analysis.hpp"
#include "proxy/sql/parse.hpp"

namespace hyperdrive::proxy::sql {
namespace {

std::string repeated(std::string_view part, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += part;
  return text;
}

TEST_CASE("nesting of any kind and depth is survived") {
  for (const std::size_t count : {1000u, 20'000u, 150'000u}) {
    const std::vector<std::string> texts = {
        "SELECT 1" + repeated("+1", count),
        "SELECT " + repeated("(", count) + "1" + repeated(")", count),
        "SELECT " + repeated("NOT ", count) + "true",
        "SELECT " + repeated("- ", count) + "1",
        "SELECT 1" + repeated(" UNION SELECT 1", count / 4),
        repeated("SELECT (", count / 4) + "SELECT 1" + repeated(")", count / 4),
        "SELECT 1" + repeated("::int", count),
        "SELECT a" + repeated("[1", count / 4) + repeated("]", count / 4),
        "SELECT " + repeated("CASE WHEN true THEN ", count / 8) + "1" + repeated(" END", count / 8),
        "SELECT " + repeated("f(", count) + repeated(")", count),
        "SELECT * FROM t" + repeated(" JOIN t ON true", count / 8),
        "SELECT 1" + repeated(" || 'x'", count / 4),
        "SELECT 1 WHERE a" + repeated(" IS NULL", count / 4),
        repeated("/*", count) + repeated("*/", count),
        repeated("EXPLAIN ", count),
        repeated("/*", count),
        repeated("--", count),
        "SELECT 1 " + repeated("+", count),
        "SELECT " + repeated("'a'\n", count / 4),
        "SELECT " + repeated("a.", count / 4) + "b",
        repeated("SELECT 1;", count / 8),
        "SELECT " + repeated("$a", count / 4),
        "SELECT 1" + repeated(" COLLATE c", count / 8),
    };
    for (const std::string& text : texts) {
      INFO(text.substr(0, 40) << " of " << text.size() << " bytes");
      const auto start = std::chrono::steady_clock::now();
      const auto analysis = analyse(text);
      REQUIRE(analysis);
      REQUIRE(analyse_mysql(text));
      CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(15));
    }
  }
}

TEST_CASE("a deep statement may be analysed on a small stack") {
  std::shared_ptr<const Analysis> analysis;
  std::thread([&] { analysis = analyse("SELECT 1" + repeated("+1", 60'000)); }).join();
  CHECK(analysis->status == CacheStatus::kMiss);
  CHECK(analyse("SELECT 1" + repeated("+1", 240'000))->status == CacheStatus::kParseError);
}

TEST_CASE("flat texts do not count as nested") {
  CHECK(nesting_bound("INSERT INTO t VALUES (1,2)" + repeated(",(1,2)", 100'000)) < 20);
  const auto analysis = analyse("INSERT INTO t VALUES (1,'a')" + repeated(",(1,'a')", 50'000));
  CHECK(analysis->statements[0].writes == std::vector<Name>{{"", "t"}});
}

TEST_CASE("texts over 1 MiB are read by their words") {
  const std::string rows = repeated(",(1,'it''s; SET x = 1')", 60'000);
  const auto analysis = analyse("/* bulk */ INSERT INTO \"S\".t (a, b) VALUES (1,'x')" + rows);
  CHECK(analysis->status == CacheStatus::kOversizedQuery);
  REQUIRE(analysis->statements.size() == 1);
  CHECK(analysis->statements[0].effect == Effect::kWrite);
  CHECK(analysis->statements[0].writes == std::vector<Name>{{"S", "t"}});
  CHECK(analysis->statements[0].state == 0);
  const auto two = analyse("INSERT INTO t VALUES (1,'x')" + rows + "; SET search_path = x");
  REQUIRE(two->statements.size() == 2);
  CHECK((two->statements[1].state & state::kUnknown) != 0);
}

TEST_CASE("a text whose reading depends on settings is not understood under them") {
  CHECK(analyse("SELECT 'a\\' OR 1=1'", Lexing::kUnsure)->status == CacheStatus::kParseError);
  CHECK(analyse("SELECT '\xe9'", Lexing::kUnsure)->status == CacheStatus::kParseError);
  CHECK(analyse("SELECT 'a'", Lexing::kUnsure)->status == CacheStatus::kMiss);
  CHECK((analyse("SELECT '\\'", Lexing::kUnsure)->statements[0].state & state::kUnknown) != 0);
}

TEST_CASE("random bytes and cut or spliced statements are survived") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const std::vector<std::string> seeds = {
      "SELECT a.b, f(c, 'now'::date) FROM t a JOIN u USING (id) WHERE x @@ y AND z IN (1,2)",
      "WITH RECURSIVE x AS (SELECT 1 UNION ALL SELECT n+1 FROM x) INSERT INTO t SELECT * FROM x",
      "SET search_path TO a, \"B\", 'c'; SELECT set_config('a', 'b', true), E'\\x41' $$q$$",
      "/* hyperdrive: max-age=5, tag=x */ SELECT U&'d\\0061t' UESCAPE '!' -- end",
      "COPY (DELETE FROM t RETURNING *) TO STDOUT; BEGIN ISOLATION LEVEL SERIALIZABLE; COMMIT",
      "SELECT * FROM ROWS FROM (f(1) AS (a int, b date), g()) WITH ORDINALITY AS r(x, y)",
      "CREATE TEMP TABLE t (a int DEFAULT now()); DECLARE c CURSOR WITH HOLD FOR SELECT 1",
      "MERGE INTO t USING u ON a = b WHEN MATCHED THEN UPDATE SET a = DEFAULT",
      "WITH x (a, b) AS (SELECT 1 FROM `t`) SELECT f(@a := 1), @@b /*! , now() */ FROM x, (y, z) # "
      "c",
      "UPDATE a, b.c SET @x = 1; LOAD DATA INFILE 'x' INTO TABLE t; SET NAMES utf8, @@global.x = "
      "-1",
      "EXPLAIN (ANALYZE, FORMAT json) UPDATE t SET (a, b) = (SELECT 1, 2) WHERE CURRENT OF c"};
  std::string key;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = seeds[random() % seeds.size()];
    switch (random() % 4) {
      case 0:
        text.resize(random() % (text.size() + 1));
        break;
      case 1:
        for (int n = 0; n < 4; ++n) text[random() % text.size()] = static_cast<char>(random());
        break;
      case 2:
        text.insert(random() % text.size(), seeds[random() % seeds.size()].substr(random() % 40));
        break;
      default:
        text.erase(random() % text.size(), random() % 10);
    }
    REQUIRE(analyse(text));
    REQUIRE(analyse_mysql(text));
    write_class_key(text, key);
  }
}

}  // namespace
}  // namespace hyperdrive::proxy::sql
