// MySQL and MariaDB statements: status, reason, tables, effects, traces in the session.
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "proxy/sql/mysql_analysis.hpp"
#include "proxy/sql/mysql_builtins.hpp"

namespace hyperdrive::proxy::sql {
namespace {

struct ReadRow {
  const char* text;
  CacheStatus status;
  const char* tables;
};

constexpr CacheStatus kMiss = CacheStatus::kMiss;
constexpr CacheStatus kVolatile = CacheStatus::kVolatile;
constexpr CacheStatus kUncacheable = CacheStatus::kUncacheable;
constexpr CacheStatus kNotAQuery = CacheStatus::kNotAQuery;

const std::vector<ReadRow> kReads = {
    {"SELECT 1", kMiss, ""},
    {"SELECT * FROM t WHERE id = ?", kMiss, "t"},
    {"SELECT * FROM `My Db`.`t``x`", kMiss, "My Db.t`x"},
    {"SELECT * FROM a, b JOIN c ON a.x = c.x LEFT JOIN d USING (x), e", kMiss, "a,b,c,d,e"},
    {"SELECT * FROM (a, b) STRAIGHT_JOIN c", kMiss, "a,b,c"},
    {"SELECT * FROM a USE INDEX (x, y), b", kMiss, "a,b"},
    {"SELECT * FROM a AS x, b y WHERE f IN (1, 2)", kMiss, "a,b"},
    {"SELECT (SELECT max(x) FROM b) FROM a WHERE EXISTS (SELECT 1 FROM c)", kMiss, "b,a,c"},
    {"SELECT * FROM (SELECT * FROM a) x, LATERAL (SELECT * FROM b) y", kMiss, "a,b"},
    {"SELECT EXTRACT(YEAR FROM created), TRIM(BOTH 'x' FROM name) FROM t", kMiss, "t"},
    {"(SELECT 1 FROM a) UNION ALL (SELECT 2 FROM b)", kMiss, "a,b"},
    {"WITH x (p, q) AS (SELECT 1, 2 FROM t), y AS (SELECT * FROM u) SELECT * FROM x, y", kMiss,
     "t,u,x,y"},
    {"TABLE t", kMiss, "t"},
    {"VALUES ROW(1, 2), ROW(3, 4)", kMiss, ""},
    {"SELECT 1 FROM dual", kMiss, ""},
    {"SELECT count(*), GROUP_CONCAT(DISTINCT x ORDER BY y SEPARATOR ',') FROM t", kMiss, "t"},
    {"SELECT IF(a > 1, CONCAT(a, 'b'), IFNULL(c, 0)), CAST(d AS DECIMAL(10, 2)) FROM t", kMiss,
     "t"},
    {"SELECT MATCH (a) AGAINST ('x' IN BOOLEAN MODE) FROM t", kMiss, "t"},
    {"SELECT row_number() OVER (PARTITION BY a ORDER BY b) FROM t", kMiss, "t"},
    {"SELECT DATE(created), DATE_FORMAT(created, '%Y') FROM t", kMiss, "t"},
    {"SELECT unix_timestamp(created) FROM t", kMiss, "t"},
    {"SELECT 'now()', \"rand()\" -- uuid()", kMiss, ""},
    {"SELECT 'it''s \\' FOR UPDATE' # rand()", kMiss, ""},
    {"SELECT /* now() */ 1", kMiss, ""},
    {"SELECT /*+ MAX_EXECUTION_TIME(1000) */ * FROM t", kMiss, "t"},
    {"SELECT 1 --1", kMiss, ""},
    {"SELECT now()", kVolatile, ""},
    {"SELECT NOW ( )", kVolatile, ""},
    {"SELECT CURRENT_TIMESTAMP", kVolatile, ""},
    {"SELECT curdate()", kVolatile, ""},
    {"SELECT unix_timestamp()", kVolatile, ""},
    {"SELECT rand(5)", kVolatile, ""},
    {"SELECT uuid()", kVolatile, ""},
    {"SELECT last_insert_id()", kVolatile, ""},
    {"SELECT found_rows()", kVolatile, ""},
    {"SELECT row_count()", kVolatile, ""},
    {"SELECT get_lock('a', 1)", kVolatile, ""},
    {"SELECT sleep(1)", kVolatile, ""},
    {"SELECT user(), version(), database()", kVolatile, ""},
    {"SELECT my_function(1)", kVolatile, ""},
    {"SELECT db.concat(1)", kVolatile, ""},
    {"SELECT `my function`(1)", kVolatile, ""},
    {"SELECT @x", kVolatile, ""},
    {"SELECT @x := 1", kVolatile, ""},
    {"SELECT @@version", kVolatile, ""},
    {"SELECT @@session.sql_mode", kVolatile, ""},
    {"SELECT timestamp(maketime(1, 2, 3))", kVolatile, ""},
    {"SELECT NEXT VALUE FOR s", kVolatile, ""},
    {"SELECT now() FROM t FOR UPDATE", kVolatile, "t"},
    {"SELECT * FROM t FOR UPDATE", kUncacheable, "t"},
    {"SELECT * FROM t FOR SHARE", kUncacheable, "t"},
    {"SELECT * FROM t LOCK IN SHARE MODE", kUncacheable, "t"},
    {"SELECT SQL_NO_CACHE * FROM t", kUncacheable, "t"},
    {"SELECT SQL_CALC_FOUND_ROWS * FROM t LIMIT 1", kUncacheable, "t"},
    {"SELECT * FROM t INTO OUTFILE '/tmp/x'", kUncacheable, "t"},
    {"SELECT * FROM information_schema.tables", kUncacheable, "information_schema.tables"},
    {"SELECT * FROM MySQL.user", kUncacheable, "MySQL.user"},
    {"SELECT 1 /*! FROM t */", kUncacheable, "t"},
    {"SELECT /*!50000 1 + */ 1", kUncacheable, ""},
    {"SELECT 'open", kUncacheable, ""},
    {"SELECT rand 1.e()", kUncacheable, ""},
    {"SELECT [id] FROM t", kUncacheable, "t"},
    {"SELECT 1 /* open", kUncacheable, ""},
    {"SHOW TABLES", kNotAQuery, ""},
    {"EXPLAIN SELECT * FROM t", kNotAQuery, "t"},
    {"INSERT INTO t SELECT * FROM u", kNotAQuery, "u"},
    {"SELECT 1; SELECT 2", CacheStatus::kMultipleStatements, ""},
    {"", kNotAQuery, ""},
    {"/* hyperdrive: no-cache */ SELECT 1", CacheStatus::kBypass, ""},
};

std::string joined(const std::vector<Name>& names) {
  std::string text;
  for (const Name& name : names) {
    text += (text.empty() ? "" : ",") + (name.schema.empty() ? "" : name.schema + ".") + name.name;
  }
  return text;
}

TEST_CASE("MySQL queries are cacheable only in the forms that are known") {
  for (const ReadRow& row : kReads) {
    INFO(row.text);
    const auto analysis = analyse_mysql(row.text);
    CHECK(name(analysis->status) == name(row.status));
    CHECK(analysis->reason.empty() == (row.status == kMiss));
    CHECK(joined(analysis->tables) == row.tables);
  }
}

struct EffectRow {
  const char* text;
  Effect effect;
  const char* writes = "";
  bool unknown_targets = false;
  std::uint16_t state = 0;
};

const std::vector<EffectRow> kEffects = {
    {"INSERT INTO t VALUES (1)", Effect::kWrite, "t"},
    {"INSERT LOW_PRIORITY IGNORE `db`.`t` (a) VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a)",
     Effect::kWrite, "db.t"},
    {"REPLACE INTO t SET a = 1", Effect::kWrite, "t"},
    {"UPDATE t SET a = 1 WHERE b = 2", Effect::kWrite, "t"},
    {"UPDATE IGNORE a, db.b JOIN c ON a.x = c.x SET a.y = 1", Effect::kWrite, "a,db.b,c"},
    {"DELETE FROM t WHERE a = 1", Effect::kWrite, "t"},
    {"DELETE a FROM t1 AS a JOIN t2", Effect::kWrite, "t1,t2"},
    {"WITH x AS (SELECT 1 FROM u) UPDATE t, x SET t.a = 1", Effect::kUnknownWrite, "", true},
    {"UPDATE t JOIN (SELECT set FROM u) d ON 1, v SET v.a = 1", Effect::kWrite, "t,u,v"},
    {"WITH x AS (SELECT 1 FROM u) DELETE FROM t WHERE a IN (SELECT * FROM x)", Effect::kWrite,
     "u,t,x"},
    {"TRUNCATE TABLE t", Effect::kWrite, "t"},
    {"LOAD DATA LOCAL INFILE 'x' INTO TABLE db.t", Effect::kWrite, "db.t"},
    {"CREATE TABLE t (a int)", Effect::kUnknownWrite, "", true},
    {"CREATE TEMPORARY TABLE t (a int)", Effect::kCreateTemp, "", false, state::kTempObject},
    {"CREATE PROCEDURE p() BEGIN SELECT 1; DELETE FROM t; END", Effect::kUnknownWrite, "", true},
    {"CALL p()", Effect::kUnknownWrite, "", true},
    {"DO f()", Effect::kUnknownWrite, "", true},
    {"ANALYZE UPDATE t SET a = 1", Effect::kUnknownWrite, "", true},
    {"ANALYZE TABLE t", Effect::kOther},
    {"XA START 'x'", Effect::kUnknownWrite, "", true, state::kUnknown},
    {"HANDLER t OPEN", Effect::kUnknownWrite, "", true, state::kUnknown},
    {"FROBNICATE", Effect::kUnknownWrite, "", true, state::kUnknown},
    {"BEGIN", Effect::kBegin},
    {"START TRANSACTION READ ONLY", Effect::kBegin},
    {"COMMIT AND CHAIN", Effect::kCommit},
    {"ROLLBACK", Effect::kRollback},
    {"ROLLBACK TO SAVEPOINT a", Effect::kRollbackTo},
    {"SAVEPOINT a", Effect::kSavepoint},
    {"RELEASE SAVEPOINT a", Effect::kRelease},
    {"LOCK TABLES t READ", Effect::kLock, "", false, state::kTableLock},
    {"FLUSH TABLES WITH READ LOCK", Effect::kOther, "", false, state::kTableLock},
    {"SET @x = 1", Effect::kSet, "", false, state::kUserVariable},
    {"SET sql_mode = CONCAT(@@sql_mode, ',ANSI')", Effect::kSet, "", false, state::kUnknownSetting},
    {"SET GLOBAL max_connections = 5", Effect::kUnknownWrite, "", true},
    {"PREPARE p FROM 'SELECT 1'", Effect::kPrepare},
    {"EXECUTE p USING @a", Effect::kExecute, "", true, state::kUserVariable},
    {"DEALLOCATE PREPARE p", Effect::kDeallocate},
    {"SHOW WARNINGS", Effect::kShow, "", false, state::kLastStatement},
    {"SELECT LAST_INSERT_ID()", Effect::kRead, "", false, state::kLastStatement},
    {"SELECT GET_LOCK('a', 1)", Effect::kRead, "", false, state::kAdvisoryLock},
    {"SELECT RELEASE_ALL_LOCKS()", Effect::kRead, "", false, state::kAdvisoryUnlockAll},
    {"KILL QUERY 5", Effect::kOther},
};

TEST_CASE("MySQL statements have the effects, targets and traces that the server gives them") {
  for (const EffectRow& row : kEffects) {
    INFO(row.text);
    const auto analysis = analyse_mysql(row.text);
    REQUIRE(analysis->statements.size() == 1);
    const Statement& statement = analysis->statements[0];
    CHECK(static_cast<int>(statement.effect) == static_cast<int>(row.effect));
    CHECK(joined(statement.writes) == row.writes);
    CHECK(statement.unknown_targets == row.unknown_targets);
    CHECK(statement.state == row.state);
  }
}

TEST_CASE("columns behind the name that is written to are no arguments") {
  for (const char* text :
       {"INSERT INTO t (a, b) VALUES (1, 2)", "insert t(a) values (1)",
        "REPLACE INTO t (a) SELECT 1", "insert low_priority ignore into db.t (a) values (1)",
        "insert into `t` (a) values (1)", "insert into `db`.`t`(a) values (1)",
        "insert into t (select 1)",
        "insert into t () values () on duplicate key update a = values(a)"}) {
    CAPTURE(text);
    CHECK(analyse_mysql(text)->functions.empty());
    CHECK(analyse_mysql(text)->statements.front().writes.front().name == "t");
  }
  for (const char* text :
       {"insert into t (a) values (f(1))", "insert into t (a) select f (1)",
        "replace into t select f(a) from u", "insert into t (select f(1))",
        "insert into f (a) values (f(1))", "insert into t set a = f(1)",
        "insert into t values (1) on duplicate key update a = f(a)",
        "replace t (a) values (`f`(1))", "insert into t partition (f) (a) values (f(1))",
        "select replace (f(1), 'a', 'b')"}) {
    CAPTURE(text);
    const auto analysis = analyse_mysql(text);
    CHECK(std::any_of(analysis->functions.begin(), analysis->functions.end(),
                      [](const Call& one) { return one.name.name == "f"; }));
  }
}

TEST_CASE("a string where a name belongs may be one: such a text may write anything") {
  for (const char* text :
       {"SELECT * FROM \"t\"", "SELECT * FROM a, \"t\"", "SELECT \"f\"(1)", "SELECT \"a\".b FROM c",
        "UPDATE t, \"u\" SET x = 1", "DELETE t FROM t JOIN \"u\""}) {
    INFO(text);
    const auto analysis = analyse_mysql(text);
    CHECK(analysis->status != kMiss);
    CHECK(analysis->statements.at(0).unknown_targets);
  }
  for (const char* text : {"SELECT 'a', trim(both 'x' from 'y') FROM t WHERE b IN ('c')",
                           "INSERT INTO t VALUES ('a'), ('b')", "UPDATE t SET a = 'b'",
                           "LOAD DATA INFILE 'x' INTO TABLE t LINES TERMINATED BY '\n' (a, b)"}) {
    INFO(text);
    CHECK(!analyse_mysql(text)->statements.at(0).unknown_targets);
  }
}

TEST_CASE("of an oversized text what it writes is found behind long lists of values") {
  std::string list;
  while (list.size() < 2 * kMaxQueryBytes) list += "(1, 'a;b', -2.5, (NULL)), ";
  list += "(1)";
  const auto writes = [](const std::string& text) {
    const auto analysis = analyse_mysql(text);
    CHECK(analysis->status == CacheStatus::kOversizedQuery);
    std::string out;
    for (const Statement& one : analysis->statements) {
      out += joined(one.writes) + (one.unknown_targets ? "?" : "") + ";";
    }
    return out;
  };
  CHECK(writes("INSERT INTO t VALUES " + list) == "t;");
  CHECK(writes("INSERT INTO t VALUES " + list + "; UPDATE u SET a = 1") == "t;u;");
  CHECK(writes("UPDATE t JOIN v ON (a, b) IN (" + list + "), u SET a = 1") == "t,v,u;");
  CHECK(writes("DELETE FROM t WHERE a IN (" + list + ") AND b IN (SELECT c FROM w)") == "t,w;");
  std::string words;
  while (words.size() < 2 * kMaxQueryBytes) words += "(a, b), ";
  CHECK(writes("INSERT INTO t VALUES " + words + "(1)") == "?;");
}

/// What of an analysis must not depend on how long its lists of values are.
std::string essence(const std::string& text, MysqlLexing lexing) {
  const auto analysis = analyse_mysql(text, lexing);
  std::string out = std::to_string(static_cast<int>(analysis->status)) + " " + analysis->reason +
                    " reads " + joined(analysis->tables) + " calls ";
  for (const Call& call : analysis->functions) {
    out += call.name.schema + "." + call.name.name + (call.variadic ? "!" : "") + ",";
  }
  for (const Statement& one : analysis->statements) {
    out += " | " + one.command + " writes " + joined(one.writes) + " " + std::to_string(one.state) +
           (one.unknown_targets ? "?" : "");
  }
  return out;
}

TEST_CASE("what stands between long lists of values is read as between short ones") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const std::vector<std::string> values = {
      "1",         "-2.5",    "'a;b'", "'it''s'", "'x\\'y'", "'-- no'", "'/* '", "' */ '",
      "NULL",      "default", "?",     "(1,'b')", "true",    "1.",      "\"d\"", "'\\\\'",
      "( (2), 3)", "\n 4 \t", "+5",    "-'6'",    "'`'",     "'#'",     "''"};
  const std::vector<std::string> traps = {"0x1F",
                                          "1e5",
                                          "x'ff'",
                                          "_utf8'a'",
                                          "f('a')",
                                          "a.b",
                                          "`c`",
                                          "now()",
                                          "@v",
                                          "/* c */",
                                          "-- c\n1",
                                          "#c\n1",
                                          "'a' 'b'",
                                          "1--1",
                                          "g (1)",
                                          "(select 1 from u)",
                                          "/*!1*/",
                                          "case when 1 then 2 end",
                                          "\"f\"(1)",
                                          "'f'.x",
                                          "{d '2020-01-01'}"};
  const auto pick = [&](const std::vector<std::string>& from) {
    return from[random() % from.size()];
  };
  for (int round = 0; round < 400; ++round) {
    MysqlLexing lexing;
    lexing.ansi_quotes = random() % 4 == 0;
    lexing.no_backslash_escapes = random() % 4 == 0;
    const std::string head =
        random() % 2 == 0 ? "select a from t where a in (0" : "insert into t (a, b) values (0";
    std::string brief = head, full = head;
    for (int run = 0; run < 3; ++run) {
      std::string first = pick(values), second = pick(values);
      if (lexing.no_backslash_escapes && (first + second).find("x\\'") != std::string::npos) {
        first = second = "1";  // it would not end
      }
      const std::string few = "," + first + "," + second + "," + first;
      brief += few;
      full += few;
      for (int i = 0; i < 400; ++i) full += "," + first + " , " + second;
      const std::string trap = random() % 3 == 0 ? "," + pick(traps) : "";
      brief += trap;
      full += trap;
    }
    const std::string tail = pick({")", ") or b in (select c from w)", "); update v set a = 1",
                                   ") on duplicate key update a = h(1)", ")) and (a in (1)"});
    INFO(brief + tail);
    REQUIRE(essence(full + tail, lexing) == essence(brief + tail, lexing));
  }
}

TEST_CASE("a text of more words than may be looked at is not cacheable and may write anything") {
  std::string text = "SELECT a FROM t WHERE b = 1";
  for (int i = 0; i < 20'000; ++i) text += " OR c = 2";
  const auto analysis = analyse_mysql(text);
  CHECK(analysis->status == CacheStatus::kUncacheable);
  CHECK(analysis->statements.at(0).unknown_targets);
}

TEST_CASE("MySQL settings are read") {
  const auto settings = [](const char* text) {
    return analyse_mysql(text)->statements.at(0).settings;
  };
  CHECK(settings("SET NAMES utf8mb4") == std::vector<Setting>{{"names", "utf8mb4"}});
  CHECK(settings("SET CHARACTER SET 'latin1'") ==
        std::vector<Setting>{{"character_set", "latin1"}});
  CHECK(settings("SET CHAR SET latin1") == std::vector<Setting>{{"character_set", "latin1"}});
  CHECK(settings("USE `My Db`") == std::vector<Setting>{{"database", "My Db"}});
  CHECK(settings("SET autocommit=0, SESSION time_zone = '+00:00', @@session.Sql_Mode := ANSI") ==
        std::vector<Setting>{{"autocommit", "0"}, {"time_zone", "+00:00"}, {"sql_mode", "ANSI"}});
  CHECK(settings("SET x = DEFAULT") == std::vector<Setting>{{"x", "", true}});
  CHECK(settings("SET x = -1") == std::vector<Setting>{{"x", "-1"}});
  CHECK(settings("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE") ==
        std::vector<Setting>{{"transaction", "ISOLATION LEVEL SERIALIZABLE", false, true}});
}

TEST_CASE("sql_mode and the character set decide how quotes are read") {
  MysqlLexing ansi;
  ansi.ansi_quotes = true;
  CHECK(joined(analyse_mysql("SELECT * FROM \"t\"", ansi)->tables) == "t");
  MysqlLexing plain;
  plain.no_backslash_escapes = true;
  CHECK(analyse_mysql("SELECT '\\', now(), '\\'", plain)->status == kVolatile);
  CHECK(analyse_mysql("SELECT '\\', now(), \\''")->status == kMiss);
  MysqlLexing unsafe;
  unsafe.unsafe_charset = true;
  CHECK(analyse_mysql("SELECT '\xbf\\'", unsafe)->status == CacheStatus::kParseError);
}

}  // namespace
TEST_CASE("each statement is read under the sql_mode that those before it have left") {
  const auto commands = [](const char* text) {
    std::string all;
    const auto analysis = analyse_mysql(text);
    for (const Statement& one : analysis->statements) all += one.command + ' ';
    return all;
  };
  constexpr std::string_view kSets = "SET SELECT SET ";
  for (const char* text :
       {R"(SET sql_mode = 'NO_BACKSLASH_ESCAPES'; SELECT '\'; SET a = 1)",
        R"(SET sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES'); SELECT '\'; SET a = 1)",
        R"(SET @m = 'NO_BACKSLASH_ESCAPES', sql_mode = @m; SELECT '\'; SET a = 1)",
        R"(SET sql_mode = REPLACE(@@sql_mode, 'X', ''); SELECT '\\'; SET a = 1)",
        R"(SET sql_mode = DEFAULT; SELECT 'a'; SET a = 1)"}) {
    CAPTURE(text);
    CHECK(commands(text) == kSets);
  }
  for (const char* text : {"SET sql_mode = DEFAULT; SELECT \"a\"; SET a = 1",
                           "EXECUTE IMMEDIATE 'SET sql_mode = ANSI'; SELECT \"a\"",
                           "SET sql_mode = ORACLE; SELECT \"a\"; SET a = 1"}) {
    CAPTURE(text);
    const auto analysis = analyse_mysql(text);
    REQUIRE(analysis->statements.size() == 2);
    CHECK(analysis->statements[1].command == kMysqlUnreadEnd);
    CHECK(analysis->statements[1].unknown_targets);
  }
}

TEST_CASE("statements with bodies outside of stored programs are one each") {
  for (const char* text :
       {"IF 0 THEN SELECT 1; SET a = 1; END IF", "x: LOOP SET a = 1; LEAVE x; END LOOP",
        "BEGIN NOT ATOMIC SET a = 1; END", "BEGIN SET a = 1; END"}) {
    CAPTURE(text);
    const auto analysis = analyse_mysql(text);
    REQUIRE(analysis->statements.size() == 1);
    CHECK(analysis->statements[0].unknown_targets);
  }
  CHECK(analyse_mysql("BEGIN; SET a = 1")->statements.size() == 2);
  CHECK(analyse_mysql("BEGIN WORK; SET a = 1")->statements.size() == 2);
}

TEST_CASE("definitions call nothing that they name") {
  for (const char* text : {"CREATE TABLE t (a INT)", "DROP TABLE IF EXISTS t",
                           "CREATE INDEX i ON t (a)", "CREATE VIEW v AS SELECT f() FROM t",
                           "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u (b)"}) {
    CAPTURE(text);
    CHECK(analyse_mysql(text)->functions.empty());
    CHECK(analyse_mysql(text)->tables.empty());
  }
  CHECK_FALSE(analyse_mysql("CREATE TABLE t AS SELECT f() FROM u")->functions.empty());
  CHECK_FALSE(analyse_mysql("CREATE TABLE t (a INT) TABLE v")->tables.empty());
}

TEST_CASE("a comment for no server is one, as long as the server takes it for one") {
  const auto count = [](std::string_view text) {
    return analyse_mysql(text, {})->statements.size();
  };
  const auto dump = analyse_mysql("/*M!999999\\- enable the sandbox mode */ SET @a = @@b", {});
  REQUIRE(dump->statements.size() == 1);
  CHECK(dump->statements[0].command == "SET");
  CHECK_FALSE(dump->mysql.has_executable_comment);
  CHECK(count("SELECT 1 /*!999999 /* ; DELETE FROM t */ ; DELETE FROM t */") == 1);
  // What stands in a comment in the comment is no comment again.
  CHECK(count("SELECT 1 /*!999999 /* /* */ */ ; DELETE FROM t -- */") == 2);
  CHECK(analyse_mysql("/*!99999 SET @a = 1 */", {})->mysql.has_executable_comment);
}

TEST_CASE("only a name that every server knows as its own hides a stored function") {
  for (const char* name : {"sum", "count", "concat", "unhex"}) {
    CHECK(mysql_function_is_everywhere(name));
  }
  // Since MySQL 8, 5.7, MariaDB 10.10; nobody's.
  for (const char* name : {"rank", "any_value", "random_bytes", "fiddles"}) {
    CHECK_FALSE(mysql_function_is_everywhere(name));
  }
}

}  // namespace hyperdrive::proxy::sql
