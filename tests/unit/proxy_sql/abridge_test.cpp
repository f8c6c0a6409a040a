// Long lists are read as if they were short.
#include "proxy/sql/abridge.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "proxy/sql/analysis.hpp"

namespace hyperdrive::proxy::sql {
namespace {

TEST_CASE("further items of a list that say the same are left out") {
  const std::vector<std::pair<const char*, const char*>> rows = {
      {"a IN (1, 2, 3) AND b", "a IN (1) AND b"},
      {"a in(1,-2,3)", "a in(1,-2)"},
      {"a IN ($1,$2, $3)", "a IN ($1)"},
      {"a IN ('x', 'it''s', NULL, 1.5, NULL, 2.5)", "a IN ('x', NULL, 1.5)"},
      {"a IN (1, 9999999999, 2, 9999999999)", "a IN (1, 9999999999)"},
      {"a IN ('x'::uuid, 'y'::uuid, 'z'::text)", "a IN ('x'::uuid, 'z'::text)"},
      {"a IN (f(1), f(2), g(3), f(1, 2))", "a IN (f(1), g(3), f(1, 2))"},
      {"(a, b) IN ((1, 2), (3, 4)) OR c", "(a, b) IN ((1, 2)) OR c"},
      {"a = ANY (ARRAY[1, 2, 3]::int[])", "a = ANY (ARRAY[1]::int[])"},
      {"ARRAY[[1, 2], [3, 4], [5]]", "ARRAY[[1, 2], [5]]"},
      {"a IN (1 /* , */, 2 -- )\n, 3)", "a IN (1 /* , */)"},
      {"(VALUES (1, 'a'), (2, 'b') , (3, 'c')) v", "(VALUES (1, 'a')) v"},
      {"VALUES (1), (2) ORDER BY 1", "VALUES (1)ORDER BY 1"},
      {"a IN (1, 2", "a IN (1, 2"},
      {"VALUES (1), (2)", "VALUES (1), (2)"},
  };
  for (const auto& [text, shorter] : rows) CHECK(abridged(text) == shorter);
}

TEST_CASE("all else stays as it is") {
  for (const char* text :
       {"SELECT f(1, 2, 3), (1, 2, 2), 1, 2", "a IN (SELECT b, b FROM t, t)",
        "a IN ('now', 'today')", "VALUES (now(), 1), ('x', $1)", "SELECT in_ (1, 2), \"in\" (1, 2)",
        "a IN (1", "a[1], b[2]", "a IN (b, c)", "IN", "VALUES", "]", "a IN ()",
        "SELECT 'a IN (1, 2)', $$ IN (1, 2)$$"}) {
    CHECK(abridged(text) == text);
  }
}

std::string list(const char* first, const char* item, std::size_t count) {
  std::string out = first;
  for (std::size_t i = 0; i < count; ++i) out += item;
  return out;
}

TEST_CASE("a long list is analysed as a short one") {
  const std::vector<std::array<const char*, 3>> rows = {
      {"SELECT * FROM s.t WHERE a IN (1", ", 2", ") AND b = f(c)"},
      {"SELECT * FROM t WHERE a IN ($1", ",$2", ") FOR UPDATE"},
      {"SELECT * FROM t WHERE a = ANY (ARRAY['x'", ", 'y'", "]::text[])"},
      {"SELECT * FROM (VALUES (1, 'a')", ", (2, 'b')", ") v (a, b) JOIN t USING (a)"},
      {"UPDATE t SET a = 1 WHERE b IN (1", ", 2", ")"},
      {"SELECT 1 WHERE a IN ('now'", ", 'x'", ")"},
      {"SELECT 1 WHERE a IN ('x'", ", 'y'", ", now())"},
  };
  for (const auto& [first, item, last] : rows) {
    const auto brief = analyse(list(first, item, 2) + last);
    const auto long_one = analyse(list(first, item, 5000) + last);
    CHECK(brief->status == long_one->status);
    CHECK(brief->reason == long_one->reason);
    CHECK(brief->uncacheable == long_one->uncacheable);
    CHECK(brief->literal_blind == long_one->literal_blind);
    CHECK(brief->tables.size() == long_one->tables.size());
    CHECK(brief->functions.size() == long_one->functions.size());
    CHECK(brief->operators.size() == long_one->operators.size());
    CHECK(brief->casts.size() == long_one->casts.size());
    CHECK(brief->aliases == long_one->aliases);
    CHECK(brief->operands == long_one->operands);
    CHECK(brief->input_words.size() == long_one->input_words.size());
  }
}

TEST_CASE("what literals decide is read in full") {
  const std::string text = "SELECT set_config('a.b', 'c', true), 1 WHERE x IN (";
  const auto analysis = analyse(list(text.c_str(), "1, ", 2000) + "2)");
  REQUIRE(analysis->statements.size() == 1);
  CHECK(analysis->statements.front().settings.size() == 1);
  CHECK_FALSE(analysis->literal_blind);
}

TEST_CASE("a list of 900 kB costs a few milliseconds") {
  const std::string text = list("SELECT * FROM t WHERE a IN (1", ", 23456", 110'000) + ")";
  const auto start = std::chrono::steady_clock::now();
  CHECK(analyse(text)->status == CacheStatus::kMiss);
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  CHECK(spent.count() < 0.15);  // the grammar alone takes 0.3 s
}

}  // namespace
}  // namespace hyperdrive::proxy::sql
