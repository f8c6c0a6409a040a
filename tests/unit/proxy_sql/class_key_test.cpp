// Texts that differ only in literals share an analysis; all others do not.
#include <atomic>
#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "proxy/sql/analysis_cache.hpp"
#include "proxy/sql/class_key.hpp"

namespace hyperdrive::proxy::sql {
namespace {

bool same_class(std::string_view a, std::string_view b) {
  std::string left;
  std::string right;
  return write_class_key(a, left) && write_class_key(b, right) && left == right;
}

TEST_CASE("plain literals and comments do not make a class") {
  CHECK(same_class("SELECT * FROM t WHERE a = 1", "SELECT * FROM t WHERE a = 999999999"));
  CHECK(same_class("SELECT 'a'", "SELECT 'it''s; -- no comment'"));
  CHECK(same_class("SELECT 1.5", "SELECT 27.25"));
  CHECK(same_class("SELECT 1 /* trace=1 */", "SELECT 2 /* trace=2 */"));
  CHECK(same_class("SELECT 1 -- a\n", "SELECT 1 -- b c\n"));
}

TEST_CASE("whatever an analysis looks at makes a class") {
  const std::vector<std::pair<const char*, const char*>> rows = {
      {"SELECT a", "SELECT b"},
      {"SELECT a", "SELECT A"},
      {"SELECT \"a\"", "SELECT \"b\""},
      {"SELECT 1", "SELECT 1.5"},
      {"SELECT 1", "SELECT 9999999999"},
      {"SELECT 1", "SELECT '1'"},
      {"SELECT $1", "SELECT $2"},
      {"SELECT 'a'::date", "SELECT 'today'::date"},
      {"SELECT 'NOW'", "SELECT 'x'"},
      {"SELECT E'\\x41'", "SELECT E'\\x42'"},
      {"SELECT $$a$$", "SELECT $$b$$"},
      {"SELECT 1 /* hyperdrive: no-cache */", "SELECT 1 /* x */"},
      {"SELECT 1 /* hyperdrive: max-age=1 */", "SELECT 1 /* hyperdrive: max-age=2 */"},
      {"SELECT 'a' /* ' */ , 'b'", "SELECT 'a' /* */ , 'b'  "},
      {"SELECT 'a'", "SELECT a"},
      {"SELECT 1e5", "SELECT 1e6"},
      {"SELECT 1", "SELECT 2 -- x"},
  };
  for (const auto& [a, b] : rows) {
    INFO(a << " | " << b);
    CHECK(!same_class(a, b));
  }
}

TEST_CASE("texts whose literals join or decode names have no class") {
  std::string key;
  CHECK(!write_class_key("SELECT 'to'\n'day'", key));
  CHECK(!write_class_key("SELECT U&\"d!0061t\" UESCAPE '!'", key));
  CHECK(!write_class_key("SELECT 'open", key));
  CHECK(!write_class_key("SELECT \x01", key));
  CHECK(!write_class_key("SELECT /* open", key));
}

TEST_CASE("the cache gives one analysis to a class, and judges each text rightly") {
  AnalysisCache cache;
  const auto first = cache.get("SELECT * FROM t WHERE a = 'x'");
  CHECK(cache.get("SELECT * FROM t WHERE a = 'y'").get() == first.get());
  CHECK(cache.get("SELECT * FROM t WHERE a = 'today'").get() != first.get());
  CHECK(cache.get("SELECT * FROM t WHERE a = 'today'")->input_words.size() == 1);
  // Settings are literals that matter.
  CHECK(cache.get("SET x = '1'")->statements[0].settings[0].value == "1");
  CHECK(cache.get("SET x = '2'")->statements[0].settings[0].value == "2");
  CHECK(cache.get("SELECT set_config('a', '1', false)")->statements[0].settings[0].value == "1");
  CHECK(cache.get("SELECT set_config('a', '2', false)")->statements[0].settings[0].value == "2");
  CHECK(cache.get("SET x = '2'").get() == cache.get("SET x = '2'").get());
  CHECK(cache.counters().hits > 0);
}

TEST_CASE("the cache stays within its budget") {
  AnalysisCache cache(std::size_t{1} << 20);
  for (int i = 0; i < 20'000; ++i) cache.get("SELECT c" + std::to_string(i) + " FROM t");
  CHECK(cache.counters().bytes <= std::size_t{1} << 20);
  CHECK(cache.counters().evictions > 0);
  CHECK(cache.counters().entries > 100);
}

TEST_CASE("many threads may ask at once") {
  AnalysisCache cache(std::size_t{1} << 18);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 3000; ++i) {
        const std::string table = "t" + std::to_string((i * (t + 1)) % 700);
        const auto analysis =
            cache.get("SELECT * FROM " + table + " WHERE a = " + std::to_string(i));
        if (analysis->tables.size() != 1 || analysis->tables[0].name != table) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace hyperdrive::proxy::sql
