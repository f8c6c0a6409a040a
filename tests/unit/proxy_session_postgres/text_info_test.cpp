#include "proxy/session/postgres/text_info.hpp"

#include <catch2/catch.hpp>

using namespace hyperdrive::proxy::session::postgres;
namespace sql = hyperdrive::proxy::sql;

TEST_CASE("a text that is prepared is kept at once, one of a simple query when it comes again") {
  sql::AnalysisCache analyses;
  TextMemo memo(analyses);
  const TextRef prepared = memo.get("select $1");
  CHECK(memo.get("select $1") == prepared);
  CHECK(memo.get_once("select $1") == prepared);

  const TextInfo* first = memo.get_once("select 1").get();
  CHECK(memo.get_once("select 1").get() == first);  // asked about twice for one message
  CHECK(memo.get_once("select 2")->text == "select 2");
  const TextRef again = memo.get_once("select 1");
  CHECK(memo.get_once("select 3")->text == "select 3");
  CHECK(memo.get_once("select 1") == again);
}

TEST_CASE("a text that passes is not written over while somebody holds it") {
  sql::AnalysisCache analyses;
  TextMemo memo(analyses);
  const TextRef held = memo.get_once("select 1");
  const TextRef next = memo.get_once("insert into t values (1)");
  CHECK(held->text == "select 1");
  CHECK(held->read_only);
  CHECK(next->text == "insert into t values (1)");
  CHECK_FALSE(next->read_only);
}

TEST_CASE("what passes in the place of another has nothing of it") {
  sql::AnalysisCache analyses;
  TextMemo memo(analyses);
  memo.get_once("begin");  // analysed, for it is not plain
  CHECK(memo.get_once("select lastval()")->analysis == nullptr);
  CHECK(memo.get_once("select pg_terminate_backend(1)")->terminates);
  const TextRef plain = memo.get_once("select 1");
  CHECK(plain->plain);
  CHECK_FALSE(plain->asks_sequences);
  CHECK_FALSE(plain->terminates);
  CHECK(plain->statements.empty());
  CHECK(plain->gate_data == nullptr);
}

TEST_CASE("a full memo lets in what comes again, and lets out what was not asked for since") {
  sql::AnalysisCache analyses;
  TextMemo memo(analyses, 2);
  const TextRef one = memo.get("select 1");
  const TextRef two = memo.get("select 2");
  CHECK(memo.get("select 3") != memo.get("select 4"));
  const TextRef three = memo.get("select 3");
  CHECK(memo.get("select 3") == three);
  CHECK(one->text == "select 1");
  CHECK(two->text == "select 2");
}
