#include <catch2/catch.hpp>
#include <string>

#include "proxy/session/postgres/transaction_words.hpp"

using hyperdrive::proxy::session::postgres::begin_tag;
using hyperdrive::proxy::session::postgres::end_tag;

TEST_CASE("a lone BEGIN is known in every form that can do nothing else") {
  for (const char* text :
       {"BEGIN", "begin;", " Begin Work ", "BEGIN TRANSACTION",
        "begin isolation level serializable", "BEGIN READ ONLY, ISOLATION LEVEL REPEATABLE READ",
        "begin read write not deferrable;",
        "begin transaction isolation level read committed,\n\tdeferrable", "begin ;;"}) {
    CHECK(begin_tag(text) == "BEGIN");
  }
  CHECK(begin_tag("start transaction read only") == "START TRANSACTION");
}

TEST_CASE("what is more than a BEGIN, or might be an error, is left to the origin") {
  for (const char* text :
       {"", "beginning", "begin work transaction", "begin; select 1", "begin isolation level",
        "begin read", "begin ,read only", "begin read only,", "begin -- x", "begin /* x */",
        "start", "begin isolation level chaos", "begin \"work\"", "start work",
        "begin read only;x"}) {
    CHECK(begin_tag(text).empty());
  }
  CHECK(begin_tag(std::string_view("begin\0", 6)).empty());
  CHECK(begin_tag("begin" + std::string(300, ' ')).empty());
}

TEST_CASE("a lone COMMIT or ROLLBACK is known unless it chains or goes back to a savepoint") {
  for (const char* text : {"COMMIT", "commit work;", "end", "END TRANSACTION"}) {
    CHECK(end_tag(text) == "COMMIT");
  }
  for (const char* text : {"rollback", "ABORT", "rollback transaction ;"}) {
    CHECK(end_tag(text) == "ROLLBACK");
  }
  for (const char* text :
       {"rollback to s", "commit and chain", "commit and no chain", "rollback work to savepoint s",
        "commit prepared 'x'", "commits", "", "commit; select 1"}) {
    CHECK(end_tag(text).empty());
  }
}
