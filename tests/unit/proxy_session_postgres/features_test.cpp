#include "proxy/session/postgres/features.hpp"

#include <catch2/catch.hpp>

using namespace hyperdrive::proxy::session;
using namespace hyperdrive::proxy::session::postgres;
using hyperdrive::core::SessionFeatures;
namespace sql = hyperdrive::proxy::sql;

namespace {

Findings find(const char* text, SessionFeatures policy = SessionFeatures::kHyperdrive,
              bool in_transaction = false) {
  // Findings point into the analysis.
  static std::vector<std::shared_ptr<const sql::Analysis>> kept;
  kept.push_back(sql::analyse(text));
  return examine(*kept.back(), policy, in_transaction);
}

}  // namespace

TEST_CASE("hyperdrive refuses what cannot outlive a transaction") {
  for (const char* text :
       {"listen x", "prepare p as select 1", "create temp table x (a int)",
        "select pg_advisory_lock(1)", "declare c cursor with hold for select 1"}) {
    INFO(text);
    CHECK(find(text).refused);
    CHECK(find(text, SessionFeatures::kPin).pins != 0);
    CHECK_FALSE(find(text, SessionFeatures::kPin).refused);
  }
}

TEST_CASE("within a transaction temporary tables and locks are lent until its end") {
  for (const char* text : {"create temp table x (a int)", "select pg_advisory_lock(1)"}) {
    INFO(text);
    CHECK_FALSE(find(text, SessionFeatures::kHyperdrive, true).refused);
    CHECK(find(text, SessionFeatures::kHyperdrive, true).left.any());
    CHECK(find(text, SessionFeatures::kHyperdrive, true).lost != 0);
  }
  CHECK_FALSE(find("begin; create temp table x (a int); commit").refused);
  CHECK(find("begin; commit; create temp table x (a int)").refused);
}

TEST_CASE("transaction-level locks leave nothing") {
  CHECK_FALSE(find("select pg_advisory_xact_lock(1)").refused);
  CHECK_FALSE(find("select pg_advisory_xact_lock(1)").left.any());
}

TEST_CASE("SET is lost, or kept if it is tracked, or pins") {
  CHECK(find("set timezone = 'UTC'").lost == bit(Feature::kSet));
  CHECK(find("set timezone = 'UTC'").dirty == std::vector<std::string_view>{"timezone"});
  CHECK(find("set timezone = 'UTC'", SessionFeatures::kPin).pins == 0);
  CHECK(find("set enable_seqscan = off", SessionFeatures::kPin).pins == bit(Feature::kSet));
  CHECK(find("set local timezone = 'UTC'", SessionFeatures::kPin).dirty.empty());
  CHECK(find("select set_config('app.user', 'x', false)", SessionFeatures::kPin).pins ==
        bit(Feature::kSetConfig));
}
