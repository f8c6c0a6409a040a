// What the session must know of each statement: effect, targets, settings, traces it leaves.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "proxy/sql/analysis.hpp"

namespace hyperdrive::proxy::sql {
namespace {

struct Row {
  const char* text;
  Effect effect;
  std::vector<Name> writes;
  bool unknown_targets = false;
  std::uint16_t state = 0;
  const char* argument = "";
};

const std::vector<Row> kRows = {
    {"SELECT 1", Effect::kRead},
    {"VALUES (1), (2)", Effect::kRead},
    {"TABLE t", Effect::kRead},
    {"(SELECT 1) UNION ALL SELECT 2", Effect::kRead},
    {"WITH x AS (SELECT 1) SELECT * FROM x", Effect::kRead},
    {"SELECT * FROM t FOR UPDATE", Effect::kRead},
    {"INSERT INTO t VALUES (1)", Effect::kWrite, {{"", "t"}}},
    {"insert into \"S\".\"T t\" default values", Effect::kWrite, {{"S", "T t"}}},
    {"UPDATE s.t SET a = 1", Effect::kWrite, {{"s", "t"}}},
    {"DELETE FROM ONLY t USING u WHERE t.id = u.id", Effect::kWrite, {{"", "t"}}},
    {"MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE", Effect::kWrite, {{"", "t"}}},
    {"TRUNCATE a, b.c", Effect::kWrite, {{"", "a"}, {"b", "c"}}},
    {"TRUNCATE a CASCADE", Effect::kWrite, {{"", "a"}}, true},
    {"COPY t FROM STDIN", Effect::kWrite, {{"", "t"}}},
    {"COPY t TO STDOUT", Effect::kCopyTo},
    {"COPY (SELECT * FROM t) TO STDOUT", Effect::kCopyTo},
    {"COPY (DELETE FROM t RETURNING *) TO STDOUT", Effect::kWrite, {{"", "t"}}},
    {"WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x",
     Effect::kWrite,
     {{"", "t"}}},
    {"WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", Effect::kWrite, {{"", "t"}}},
    {"WITH a AS (WITH b AS (DELETE FROM u RETURNING 1) SELECT * FROM b) SELECT 1",
     Effect::kWrite,
     {{"", "u"}}},
    {"WITH t AS (SELECT 1) UPDATE t SET a = 1", Effect::kWrite, {{"", "t"}}},
    {"REFRESH MATERIALIZED VIEW CONCURRENTLY m", Effect::kWrite, {{"", "m"}}},
    {"SELECT 1 INTO t", Effect::kUnknownWrite, {}, true},
    {"SELECT 1 INTO TEMP t", Effect::kCreateTemp, {}, false, state::kTempObject},
    {"SELECT 1 INTO x UNION SELECT 2", Effect::kUnknownWrite, {}, true},
    {"CREATE TEMP TABLE t (a int)", Effect::kCreateTemp, {}, false, state::kTempObject},
    {"CREATE TEMPORARY TABLE t AS SELECT 1", Effect::kCreateTemp, {}, false, state::kTempObject},
    {"CREATE TABLE pg_temp.t (a int)", Effect::kCreateTemp, {}, false, state::kTempObject},
    {"CREATE TEMP VIEW v AS SELECT 1", Effect::kCreateTemp, {}, false, state::kTempObject},
    {"CREATE TEMP SEQUENCE s", Effect::kCreateTemp, {}, false, state::kTempObject},
    {"CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'select 1'",
     Effect::kCreateTemp,
     {},
     false,
     state::kTempObject},
    {"CREATE TABLE t (a int)", Effect::kUnknownWrite, {}, true},
    {"CREATE TABLE t AS SELECT 1", Effect::kUnknownWrite, {}, true},
    {"CREATE INDEX CONCURRENTLY i ON t (a)", Effect::kUnknownWrite, {}, true},
    {"ALTER TABLE t ADD COLUMN b int", Effect::kUnknownWrite, {}, true},
    {"DROP TABLE t", Effect::kUnknownWrite, {}, true},
    {"GRANT SELECT ON t TO u", Effect::kUnknownWrite, {}, true},
    {"CREATE POLICY p ON t USING (true)", Effect::kUnknownWrite, {}, true},
    {"DO $$ BEGIN DELETE FROM t; END $$", Effect::kUnknownWrite, {}, true, state::kUnknown},
    {"CALL p(1)", Effect::kUnknownWrite, {}, true, state::kUnknown},
    {"IMPORT FOREIGN SCHEMA x FROM SERVER y INTO z", Effect::kUnknownWrite, {}, true},
    {"BEGIN", Effect::kBegin},
    {"START TRANSACTION READ ONLY", Effect::kBegin},
    {"COMMIT", Effect::kCommit},
    {"END", Effect::kCommit},
    {"ROLLBACK", Effect::kRollback},
    {"ABORT", Effect::kRollback},
    {"SAVEPOINT a", Effect::kSavepoint, {}, false, 0, "a"},
    {"RELEASE a", Effect::kRelease, {}, false, 0, "a"},
    {"ROLLBACK TO a", Effect::kRollbackTo, {}, false, 0, "a"},
    {"PREPARE TRANSACTION 'g'", Effect::kPrepareTransaction, {}, false, 0, "g"},
    {"COMMIT PREPARED 'g'", Effect::kCommit, {}, true, 0, "g"},
    {"ROLLBACK PREPARED 'g'", Effect::kRollback, {}, false, 0, "g"},
    {"DISCARD ALL", Effect::kDiscard, {}, false, 0, "ALL"},
    {"DISCARD TEMP", Effect::kDiscard, {}, false, 0, "TEMP"},
    {"PREPARE p AS SELECT 1", Effect::kPrepare, {}, false, 0, "p"},
    {"EXECUTE p(1)", Effect::kExecute, {}, true, 0, "p"},
    {"DEALLOCATE p", Effect::kDeallocate, {}, false, 0, "p"},
    {"DEALLOCATE PREPARE ALL", Effect::kDeallocate},
    {"LISTEN \"Ch\"", Effect::kListen, {}, false, 0, "Ch"},
    {"UNLISTEN *", Effect::kUnlisten},
    {"NOTIFY ch, 'x'", Effect::kNotify, {}, false, 0, "ch"},
    {"DECLARE c CURSOR FOR SELECT 1", Effect::kDeclareCursor, {}, false, 0, "c"},
    {"DECLARE c CURSOR WITH HOLD FOR SELECT 1",
     Effect::kDeclareCursor,
     {},
     false,
     state::kHoldCursor,
     "c"},
    {"DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1", Effect::kDeclareCursor, {}, false, 0, "c"},
    {"FETCH 5 FROM c", Effect::kFetch, {}, false, 0, "c"},
    {"MOVE c", Effect::kFetch, {}, false, 0, "c"},
    {"CLOSE ALL", Effect::kClose},
    {"CLOSE c", Effect::kClose, {}, false, 0, "c"},
    {"LOCK TABLE t", Effect::kLock},
    {"LOAD 'x'", Effect::kOther, {}, false, state::kLoad},
    {"VACUUM t", Effect::kOther},
    {"ANALYZE", Effect::kOther},
    {"CHECKPOINT", Effect::kOther},
    {"SHOW ALL", Effect::kShow, {}, false, 0, "all"},
    {"EXPLAIN DELETE FROM t", Effect::kExplain},
    {"EXPLAIN ANALYZE DELETE FROM t", Effect::kWrite, {{"", "t"}}},
    {"EXPLAIN (ANALYZE, BUFFERS) UPDATE t SET a = 1", Effect::kWrite, {{"", "t"}}},
    {"EXPLAIN (ANALYZE off) UPDATE t SET a = 1", Effect::kExplain},
    {"EXPLAIN (ANALYZE 1) UPDATE t SET a = 1", Effect::kWrite, {{"", "t"}}},
    {"EXPLAIN (ANALYZE 0) UPDATE t SET a = 1", Effect::kExplain},
    {"EXPLAIN ANALYZE SELECT 1", Effect::kExplain},
    {"EXPLAIN ANALYZE EXECUTE p", Effect::kExecute, {}, true, 0, "p"},
    {"EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1", Effect::kUnknownWrite, {}, true},
    {"SELECT pg_advisory_lock(1)", Effect::kRead, {}, false, state::kAdvisoryLock},
    {"SELECT pg_catalog.pg_try_advisory_lock_shared(1, 2)",
     Effect::kRead,
     {},
     false,
     state::kAdvisoryLock},
    {"SELECT pg_advisory_xact_lock(1)", Effect::kRead},
    {"SELECT pg_try_advisory_xact_lock(1)", Effect::kRead},
    {"SELECT pg_advisory_unlock(1)", Effect::kRead, {}, false, state::kAdvisoryUnlock},
    {"SELECT pg_advisory_unlock_all()", Effect::kRead, {}, false, state::kAdvisoryUnlockAll},
    {"SELECT x FROM (SELECT pg_advisory_lock(id) x FROM t) s",
     Effect::kRead,
     {},
     false,
     state::kAdvisoryLock},
    {"INSERT INTO t VALUES (nextval('s'))", Effect::kWrite, {{"", "t"}}, false, state::kSequence},
    {"SELECT setseed(0.5)", Effect::kRead, {}, false, state::kSeed},
    {"SELECT set_config(a, b, false) FROM t", Effect::kRead, {}, false, state::kUnknownSetting},
    {"SELECT dblink_exec('x', 'y')", Effect::kRead, {}, false, state::kUnknown},
    {"SELECT x.dblink_connect('x')", Effect::kRead, {}, false, state::kLoad},
    {"SELECT pg_replication_origin_session_setup('x')", Effect::kRead, {}, false, state::kLoad},
    {"SELECT set_limit(0.5)", Effect::kRead, {}, false, state::kUnknownSetting},
    // Newer than the grammar, or no SQL at all: read by their words.
    {"SELECT * FROM JSON_TABLE(x, '$' COLUMNS (a int PATH '$.a'))", Effect::kRead},
    {"MERGE INTO s.t USING u ON t.a = u.a WHEN MATCHED THEN DELETE RETURNING *",
     Effect::kWrite,
     {{"s", "t"}}},
    {"MERGE INTO t USING u ON t.a = u.a WHEN NOT MATCHED BY SOURCE THEN DELETE",
     Effect::kWrite,
     {{"", "t"}}},
    {"UPDATE t SET a = 1 RETURNING WITH (OLD AS o) o.a", Effect::kWrite, {{"", "t"}}},
    {"FROB THE TABLE", Effect::kUnknownWrite, {}, true, state::kUnknown},
    {"SELECT 'unterminated", Effect::kRead, {}, false, state::kUnknown},
};

TEST_CASE("each statement has the effect, targets and traces that Postgres gives it") {
  for (const Row& row : kRows) {
    INFO(row.text);
    const auto analysis = analyse(row.text);
    REQUIRE(analysis->statements.size() == 1);
    const Statement& statement = analysis->statements.front();
    CHECK(static_cast<int>(statement.effect) == static_cast<int>(row.effect));
    CHECK(statement.writes == row.writes);
    CHECK(statement.unknown_targets == row.unknown_targets);
    CHECK(statement.state == row.state);
    CHECK(statement.argument == row.argument);
  }
}

struct SettingRow {
  const char* text;
  Effect effect;
  std::vector<Setting> settings;
};

const std::vector<SettingRow> kSettingRows = {
    {"SET DateStyle = 'ISO, DMY'", Effect::kSet, {{"datestyle", "ISO, DMY", false, false}}},
    {"SET datestyle TO iso, mdy", Effect::kSet, {{"datestyle", "iso, mdy", false, false}}},
    {"SET SESSION work_mem = 64", Effect::kSet, {{"work_mem", "64", false, false}}},
    {"SET seed TO 0.5", Effect::kSet, {{"seed", "0.5", false, false}}},
    {"SET LOCAL timezone TO 'UTC'", Effect::kSetLocal, {{"timezone", "UTC", false, true}}},
    {"SET TIME ZONE 'Europe/Rome'", Effect::kSet, {{"timezone", "Europe/Rome", false, false}}},
    {"SET TIME ZONE -7", Effect::kSet, {{"timezone", "-7", false, false}}},
    {"SET TIME ZONE LOCAL", Effect::kSet, {{"timezone", "", true, false}}},
    {"SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE",
     Effect::kSet,
     {{"timezone", "INTERVAL '-08:00'", false, false}}},
    {"SET NAMES 'latin1'", Effect::kSet, {{"client_encoding", "latin1", false, false}}},
    {"SET SCHEMA 'x'", Effect::kSet, {{"search_path", "x", false, false}}},
    {"SET search_path TO a, \"B c\", '$user'",
     Effect::kSet,
     {{"search_path", "a, \"B c\", \"$user\"", false, false}}},
    {"SET enable_seqscan TO off", Effect::kSet, {{"enable_seqscan", "off", false, false}}},
    {"SET app.tenant = '5'", Effect::kSet, {{"app.tenant", "5", false, false}}},
    {"SET x TO DEFAULT", Effect::kSet, {{"x", "", true, false}}},
    {"RESET x", Effect::kReset, {{"x", "", true, false}}},
    {"RESET ALL", Effect::kReset, {}},
    {"SET ROLE admin", Effect::kSet, {{"role", "admin", false, false}}},
    {"SET ROLE NONE", Effect::kSet, {{"role", "none", false, false}}},
    {"SET LOCAL ROLE admin", Effect::kSetLocal, {{"role", "admin", false, true}}},
    {"RESET ROLE", Effect::kReset, {{"role", "", true, false}}},
    {"SET SESSION AUTHORIZATION bob",
     Effect::kSet,
     {{"session_authorization", "bob", false, false}}},
    {"SET SESSION AUTHORIZATION DEFAULT",
     Effect::kSet,
     {{"session_authorization", "", true, false}}},
    {"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY",
     Effect::kSetLocal,
     {{"transaction_isolation", "serializable", false, true},
      {"transaction_read_only", "on", false, true}}},
    {"SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
     Effect::kSet,
     {{"default_transaction_read_only", "off", false, false}}},
    {"SELECT set_config('TimeZone', 'UTC', false)",
     Effect::kRead,
     {{"timezone", "UTC", false, false}}},
    {"SELECT set_config('a.b', '1', true), pg_catalog.set_config('c', '2', false)",
     Effect::kRead,
     {{"a.b", "1", false, true}, {"c", "2", false, false}}},
};

TEST_CASE("SET, RESET and set_config give the settings they change") {
  for (const SettingRow& row : kSettingRows) {
    INFO(row.text);
    const auto analysis = analyse(row.text);
    REQUIRE(analysis->statements.size() == 1);
    CHECK(static_cast<int>(analysis->statements[0].effect) == static_cast<int>(row.effect));
    CHECK(analysis->statements[0].settings == row.settings);
    CHECK(analysis->statements[0].state == 0);
  }
}

TEST_CASE("transaction options are read") {
  const auto begin = analyse("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY, NOT DEFERRABLE");
  CHECK(begin->statements[0].transaction.isolation == "repeatable read");
  CHECK(begin->statements[0].transaction.read_only == true);
  CHECK(begin->statements[0].transaction.deferrable == false);
  CHECK(analyse("COMMIT AND CHAIN")->statements[0].transaction.chain);
  CHECK(!analyse("COMMIT AND NO CHAIN")->statements[0].transaction.chain);
}

TEST_CASE("several statements are told apart, with their places") {
  const std::string text = "BEGIN; UPDATE t SET a = 'x;y'; COMMIT";
  const auto analysis = analyse(text);
  REQUIRE(analysis->statements.size() == 3);
  CHECK(analysis->status == CacheStatus::kMultipleStatements);
  const Statement& update = analysis->statements[1];
  CHECK(text.substr(update.offset, update.length) == " UPDATE t SET a = 'x;y'");
  CHECK(analyse("")->statements.empty());
  CHECK(analyse(" ; /* nothing */ ;")->statements.empty());
}

/// Above what the grammar is asked about.
std::string lengthened(const std::string& text, std::size_t size) {
  return text + "/*" + std::string(size, ' ') + "*/";
}

TEST_CASE("a long INSERT of values is known by its words, and only that") {
  constexpr std::size_t kLong = 9'000;
  for (const char* text :
       {"INSERT INTO s.readings (city, temp) VALUES ('x', 1), (now(), $1) RETURNING id",
        "insert into s.readings values (1) on conflict (id) do update set temp = excluded.temp"}) {
    INFO(text);
    const auto analysis = analyse(lengthened(text, kLong));
    CHECK(analysis->is_skimmed);
    REQUIRE(analysis->statements.size() == 1);
    CHECK(analysis->statements[0].writes == std::vector<Name>{{"s", "readings"}});
    CHECK(analysis->statements[0].state == 0);
    CHECK(analysis->status == CacheStatus::kNotAQuery);
  }
  for (const char* text :
       {"INSERT INTO t SELECT * FROM u", "INSERT INTO t TABLE u",
        "INSERT INTO t VALUES ((SELECT 1))", "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)",
        "UPDATE t SET a = 1", "SELECT 1"}) {
    INFO(text);
    CHECK_FALSE(analyse(lengthened(text, kLong))->is_skimmed);
  }
}

TEST_CASE("what is read by its words makes temporary objects only where the grammar says so") {
  constexpr std::size_t kOversized = kMaxQueryBytes;
  for (const char* text :
       {"INSERT INTO temp (temp) VALUES (1)", "UPDATE t SET temp = 1, temporary = 2",
        "SELECT temp FROM t", "ALTER TABLE t ADD COLUMN temp int"}) {
    INFO(text);
    CHECK((analyse(lengthened(text, kOversized))->statements.at(0).state & state::kTempObject) ==
          0);
  }
  for (const char* text :
       {"CREATE TEMP TABLE x ()", "CREATE OR REPLACE TEMPORARY VIEW x AS SELECT 1",
        "CREATE LOCAL TEMP TABLE x ()", "SELECT 1 INTO TEMP x",
        "SELECT 1 INTO LOCAL TEMP TABLE x"}) {
    INFO(text);
    CHECK((analyse(lengthened(text, kOversized))->statements.at(0).state & state::kTempObject) !=
          0);
  }
}

}  // namespace
}  // namespace hyperdrive::proxy::sql
