#include "proxy/session/mysql/text_info.hpp"

#include <catch2/catch.hpp>
#include <string>

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

TEST_CASE("whoever keeps nothing with a text learns the same of it") {
  for (const char* text : {"",
                           "(",
                           "select",
                           "select 1",
                           "SELECT c FROM sbtest1 WHERE id=50123",
                           "selection",
                           "table t",
                           "values (1)",
                           "insert into t (a) values (1)",
                           "replace into t values (1)",
                           "with x as (select 1) select 1",
                           "delete from t",
                           "update t set a = 1",
                           "begin",
                           "commit",
                           "select @x",
                           "select 1 @x",
                           "select '@'",
                           "select \"@x\"",
                           "select `@x`",
                           "select a -- @x",
                           "select 1; select 2",
                           "select 1;",
                           "select 1 ; ",
                           "select ';'",
                           "select /*!1*/ 1",
                           "select /* ! */ 1",
                           "select 1 /*M!100100 + 1 */",
                           "select last_insert_id()",
                           "select LAST_INSERT_ID (7)",
                           "select 'last_insert_id'",
                           "select lastval(s)",
                           "select NextVal(s)",
                           "select next value for s",
                           "select next_value from t",
                           "select 'next value'",
                           "select sum(k) from t where id between 1 and 2",
                           "select f(1)",
                           "select `f`(1)",
                           "select f /**/ (1)",
                           "select \"f\"(1)",
                           "select a from t limit 1",
                           "select a from t limit 1 into @x",
                           "select a into outfile 'x' from t",
                           "select now() - interval 1 day",
                           "select _latin1'x'",
                           "select x'40'",
                           "select n'@'",
                           "select '\\'' , '@'",
                           "select count(*) from t where a in (1, 2)",
                           "call p()",
                           "set @x = 1",
                           "select get_lock('a', 1)",
                           "select SETVAL(s, 1)"}) {
    for (const bool ansi_quotes : {false, true}) {
      for (const bool unsafe_charset : {false, true}) {
        CAPTURE(text, ansi_quotes, unsafe_charset);
        const hyperdrive::proxy::sql::MysqlLexing lexing{.ansi_quotes = ansi_quotes,
                                                         .unsafe_charset = unsafe_charset};
        TextMemo memo, other;
        const TextRef kept = memo.get(text, lexing);
        const TextRef looked_at = other.look(text, lexing);
        CHECK(looked_at->text == text);
        CHECK(looked_at->lexing.ansi_quotes == ansi_quotes);
        CHECK(looked_at->plain == kept->plain);
        CHECK(looked_at->read_only == kept->read_only);
        CHECK(looked_at->hidden == kept->hidden);
        CHECK((looked_at->analysis != nullptr) == (kept->analysis != nullptr));
      }
    }
  }
}

TEST_CASE("texts that differ in a literal are different texts") {
  TextMemo memo;
  const TextRef one = memo.look("select a from t where id = 1", {});
  const TextRef two = memo.look("select a from t where id = 2", {});
  CHECK(one->text == "select a from t where id = 1");
  CHECK(two->text == "select a from t where id = 2");
}

TEST_CASE("texts that differ in their values only are alike, and analysed once") {
  TextMemo memo;
  const TextRef one = memo.look("select a from t where id = 1", {});
  const TextRef two = memo.look("select a from t where id = 'x'", {});
  const TextRef three = memo.look("select a from t where id = 30", {});
  CHECK(memo.like(*one) == memo.like(*three));
  CHECK(memo.like(*one) != memo.like(*two));
  memo.analyse(*one);
  memo.analyse(*three);
  CHECK(one->analysis == three->analysis);
  CHECK(one->text != three->text);
}

TEST_CASE("only plain texts that are read in the same way are alike") {
  TextMemo memo;
  const TextRef variable = memo.look("select @x, 1", {});
  CHECK(memo.like(*variable) == variable);
  const TextRef comment = memo.look("select 1 -- 2", {});
  CHECK(memo.like(*comment) == comment);
  const TextRef one = memo.look("select 'a'", {});
  const TextRef other = memo.look("select 'a'", {.ansi_quotes = true});
  CHECK(memo.like(*one) != memo.like(*other));
  const TextRef cut = TextMemo::cut("select 1", {});
  CHECK(memo.like(*cut) == cut);
}

TEST_CASE("what must be analysed is kept however it is looked at") {
  TextMemo memo;
  CHECK(memo.look("select @x", {}) == memo.look("select @x", {}));
  CHECK(memo.look("select f(1)", {}) == memo.get("select f(1)", {}));
}

TEST_CASE("what is suspicious is found wherever it stands") {
  for (const std::string word :
       {"@x", "/*!1*/", "/*m!1*/", "last_insert_id()", "LASTVAL(s)", "found_rows()",
        "get_lock('a', 1)", "row_count()", "release_all_locks()", "nextVAL(s)", "setval(s, 1)",
        "neXt value for s", "preVious value for s", "1; select 1"}) {
    for (std::size_t before = 0; before < 40; ++before) {
      for (const std::size_t behind : {0, 1, 15, 16, 17, 40}) {
        const std::string text =
            "select " + std::string(before, '1') + " " + word + " " + std::string(behind, '2');
        CAPTURE(text);
        CHECK_FALSE(glance(text).plain);
      }
    }
  }
}

TEST_CASE("a call is found wherever it stands") {
  for (std::size_t before = 0; before < 40; ++before) {
    for (const std::size_t behind : {0, 1, 15, 16, 17}) {
      const std::string padding = std::string(before, '1') + " ";
      const std::string end(behind, ' ');
      CAPTURE(before, behind);
      CHECK(glance("select " + padding + "f(1)" + end).hidden);
      CHECK_FALSE(glance("select " + padding + "sum(1)" + end).hidden);
      CHECK_FALSE(glance("select " + padding + "Now(1)" + end).hidden);
    }
  }
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
