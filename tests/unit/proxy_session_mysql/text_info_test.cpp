#include "proxy/session/mysql/text_info.hpp"

#include <catch2/catch.hpp>

#include "proxy/session/mysql/statements.hpp"

using namespace hyperdrive::proxy::session::mysql;

TEST_CASE("ordinary statements are plain") {
  for (const char* text :
       {"select * from t where a = 'x'", "INSERT INTO t (a, b) VALUES (1, now());",
        "update t set a = 1", "(select 1) union (select 2)",
        "with x (a) as (select 1) select * from x", "insert into `shop`.`t` (a) values (1)",
        "delete from t where id in (1, 2)"}) {
    CAPTURE(text);
    CHECK(glance(text).plain);
    TextMemo memo;
    CHECK_FALSE(memo.get(text, {})->hidden);
  }
}

TEST_CASE("what may touch the session is looked at") {
  for (const char* text :
       {"set a = 1", "select @x", "select 1; select 2", "select get_lock('a', 1)",
        "select last_insert_id()", "select /*!50000 1 */", "create temporary table t (x int)",
        "select found_rows()", "begin", "call p()"}) {
    CAPTURE(text);
    CHECK_FALSE(glance(text).plain);
  }
}

TEST_CASE("a function that is not the server's may leave anything behind") {
  for (const char* text :
       {"select f(1)", "select shop.f(1)", "select `f`(1)", "update t set a = g (1)"}) {
    CAPTURE(text);
    TextMemo memo;
    CHECK(memo.get(text, {})->hidden);
  }
}

TEST_CASE("one text read in two ways is two texts") {
  TextMemo memo;
  CHECK(memo.get("select \"a\"", {}) == memo.get("select \"a\"", {}));
  CHECK(memo.get("select \"a\"", {}) != memo.get("select \"a\"", {.ansi_quotes = true}));
}

TEST_CASE("a full memo keeps what is asked for a second time") {
  TextMemo memo(2);
  const TextRef first = memo.get("select 1", {});
  const TextRef second = memo.get("select 2", {});
  const TextRef third = memo.get("select 3", {});
  CHECK(memo.get("select 3", {}) == third);  // the same statement, looked at once more
  CHECK(memo.get("select 1", {}) == first);
  CHECK(memo.get("select 2", {}) == second);
  memo.get("select 4", {});
  const TextRef kept = memo.get("select 3", {});
  memo.get("select 4", {.ansi_quotes = true});
  CHECK(memo.get("select 3", {}) == kept);
}

TEST_CASE("a connection's statements give way to newer ones") {
  PreparedOnOrigin prepared(2);
  CHECK_FALSE(prepared.add(1, 11));
  CHECK_FALSE(prepared.add(2, 12));
  CHECK(prepared.use(1) != nullptr);
  CHECK_FALSE(prepared.add(3, 13));
  CHECK(prepared.surplus() == 12u);
  CHECK_FALSE(prepared.surplus());
  CHECK(prepared.add(3, 14) == 13u);
  CHECK(prepared.use(2) == nullptr);
}

TEST_CASE("the same text under another database is another statement") {
  PreparedRegistry registry;
  const auto in = [](const char* database) { return std::make_shared<State>(State{database, {}}); };
  CHECK(registry.get("select 1", in("a")) == registry.get("select 1", in("a")));
  CHECK(registry.get("select 1", in("a")) != registry.get("select 1", in("b")));
}
