// Control comments: where they count, what they say, what becomes of bad ones.
#include <catch2/catch.hpp>

#include "proxy/sql/hints.hpp"

namespace hyperdrive::proxy::sql {
namespace {

TEST_CASE("a comment at either end of the statement is a hint") {
  CHECK(read_hints("/* hyperdrive: no-cache */ SELECT 1").no_cache);
  CHECK(read_hints("SELECT 1 /* hyperdrive: no-cache */").no_cache);
  CHECK(read_hints("SELECT 1; /* hyperdrive: no-cache */").no_cache);
  CHECK(read_hints("SELECT 1 /* hyperdrive: no-cache */ ;").no_cache);
  CHECK(read_hints("-- Hyperdrive: no-cache\nSELECT 1").no_cache);
  CHECK(read_hints("/* other */ /*HYPERDRIVE: No-Cache*/ SELECT 1").no_cache);
  CHECK(analyse("/* hyperdrive: no-cache */ SELECT 1")->status == CacheStatus::kBypass);
}

TEST_CASE("a comment in the middle, or in a string, is no hint") {
  CHECK(!read_hints("SELECT /* hyperdrive: no-cache */ 1").no_cache);
  CHECK(!read_hints("SELECT '/* hyperdrive: no-cache */'").no_cache);
  CHECK(!read_hints("SELECT $$/* hyperdrive: no-cache */$$").no_cache);
  CHECK(!read_hints("SELECT \"/* hyperdrive: no-cache */\"").no_cache);
  CHECK(!read_hints("SELECT 1 /* a hyperdrive: no-cache */").no_cache);
}

TEST_CASE("values are read and bad ones collected") {
  const Hints hints =
      read_hints("/* hyperdrive: max-age=5, swr=0 tag=products,tag=a:b */ SELECT 1");
  CHECK(hints.max_age == 5);
  CHECK(hints.stale_while_revalidate == 0);
  CHECK(hints.tags == std::vector<std::string>{"products", "a:b"});
  CHECK(hints.invalid.empty());
  const Hints bad = read_hints(
      "/* hyperdrive: max-age=-1 max-age=99999 swr=x foo tag= no-cache=1 max-age=5s */ SELECT 1");
  CHECK(!bad.max_age);
  CHECK(!bad.no_cache);
  CHECK(bad.invalid == std::vector<std::string>{"max-age=-1", "max-age=99999", "swr=x", "foo",
                                                "tag=", "no-cache=1", "max-age=5s"});
}

TEST_CASE("hints of MySQL texts are found as MySQL reads quotes and comments") {
  const auto no_cache = [](const char* text, MysqlLexing lexing = {}) {
    return read_mysql_hints(text, lexing).no_cache;
  };
  CHECK(no_cache("/* hyperdrive: no-cache */ SELECT 1"));
  CHECK(no_cache("-- hyperdrive: no-cache\nSELECT 1"));
  CHECK(no_cache("# hyperdrive: no-cache\nSELECT 1"));
  CHECK(no_cache("SELECT 'O\\'Brien' /* hyperdrive: no-cache */"));
  CHECK(no_cache("# it's\nSELECT 1 /* hyperdrive: no-cache */;"));
  CHECK(no_cache("SELECT `a'b` /* other */ ; -- hyperdrive: no-cache"));
  CHECK(no_cache("/* hyperdrive: no-cache */"));
  MysqlLexing plain;
  plain.no_backslash_escapes = true;
  CHECK(no_cache("SELECT 'a\\' /* hyperdrive: no-cache */", plain));
  CHECK(!no_cache("SELECT 'a\\' /* hyperdrive: no-cache */"));
  CHECK(!no_cache("SELECT /* hyperdrive: no-cache */ 1"));
  CHECK(!no_cache("SELECT '/* hyperdrive: no-cache */'"));
  CHECK(!no_cache("SELECT 1 /*! hyperdrive: no-cache */"));
  CHECK(read_mysql_hints("SELECT '\\'' /* hyperdrive: tag=x */", {}).tags ==
        std::vector<std::string>{"x"});
}

}  // namespace
}  // namespace hyperdrive::proxy::sql
