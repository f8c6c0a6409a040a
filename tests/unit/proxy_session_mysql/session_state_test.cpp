#include "proxy/session/mysql/session_state.hpp"

#include <catch2/catch.hpp>

#include "proxy/session/mysql/set_reader.hpp"

using namespace hyperdrive::proxy::session::mysql;

namespace {

StateRef state(std::vector<Variable> variables = {}) {
  return std::make_shared<State>(State{"shop", std::move(variables)});
}

}  // namespace

TEST_CASE("no statement is needed between equal states") {
  const StateRef a = state({{"sql_mode", "'ANSI'"}, {"names", "latin1"}});
  const StateRef b = state({{"sql_mode", "'ANSI'"}, {"names", "latin1"}});
  CHECK(same(a, b));
  CHECK(difference(a, b, {}).empty());
}

TEST_CASE("a difference sets what is new and gives back what is gone") {
  const StateRef a = state({{"time_zone", "'+01:00'"}, {"autocommit", "0"}});
  const StateRef b = state({{"time_zone", "'+02:00'"}, {"sql_mode", "''"}});
  CHECK(difference(a, b, {}) ==
        "SET SESSION autocommit = DEFAULT, SESSION time_zone = '+02:00', SESSION sql_mode = ''");
}

TEST_CASE("character sets are set again as a whole and in order") {
  const StateRef plain = state();
  StateRef fancy = with(plain, {"names", "latin1"});
  fancy = with(fancy, {"character_set_results", "NULL"});
  CHECK(difference(plain, fancy, {}) == "SET NAMES latin1, SESSION character_set_results = NULL");
  CHECK(difference(fancy, plain, {}) == "SET NAMES utf8mb4");
  const auto results = state({{"character_set_results", "NULL"}});
  CHECK(difference(fancy, results, {}) ==
        "SET NAMES utf8mb4, SESSION character_set_results = NULL");
  CHECK(with(fancy, {"names", "utf8mb4"})->variables.size() == 1);
}

TEST_CASE("after a reset everything is said, the origin's own way") {
  Baseline mysql;
  mysql.names = "utf8mb4 COLLATE utf8mb4_general_ci";
  mysql.has_tx_isolation = false;
  mysql.ignore_space = true;
  CHECK(difference(nullptr, state({{"tx_isolation", "'serializable'"}}), mysql) ==
        "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci, SESSION transaction_isolation = "
        "'serializable', SESSION sql_mode = CONCAT(@@global.sql_mode, ',IGNORE_SPACE')");
}

TEST_CASE("sql_mode and the character set decide how a text is read") {
  CHECK(state({{"sql_mode", "'ANSI'"}})->lexing().ansi_quotes);
  CHECK(state({{"sql_mode", "'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES'"}})
            ->lexing()
            .no_backslash_escapes);
  CHECK(state({{"names", "gbk COLLATE gbk_chinese_ci"}})->lexing().unsafe_charset);
  CHECK_FALSE(state({{"names", "utf8mb4"}})->lexing().unsafe_charset);
}

TEST_CASE("SET is read assignment by assignment") {
  using Kind = Assignment::Kind;
  const auto found = read_set(
      "SET NAMES 'utf8' COLLATE utf8_bin, @a = 1, GLOBAL x = 2, @@session.sql_mode = 'A,B', "
      "SESSION autocommit=0, y = DEFAULT, z = CONCAT(@@z, ','), last_insert_id = 4",
      {});
  REQUIRE(found.size() == 8);
  CHECK(found[0].name == "names");
  CHECK(found[0].value == "utf8 COLLATE utf8_bin");
  CHECK(found[1].kind == Kind::kUser);
  CHECK(found[2].kind == Kind::kGlobal);
  CHECK(found[3].name == "sql_mode");
  CHECK(found[3].value == "'A,B'");
  CHECK(found[4].value == "0");
  CHECK(found[5].is_default);
  CHECK_FALSE(found[6].is_constant);
  CHECK(found[7].kind == Kind::kOneShot);
}

TEST_CASE("a scope goes on to the names behind it, but not to those with @@") {
  using Kind = Assignment::Kind;
  const auto found =
      read_set("set global a = 1, b = 2, @@c = 3, @@session.d = 4, e = 5, local f = 6", {});
  REQUIRE(found.size() == 6);
  for (const std::size_t i : {0, 1, 4}) CHECK(found[i].kind == Kind::kGlobal);
  for (const std::size_t i : {2, 3, 5}) CHECK(found[i].kind == Kind::kVariable);
  CHECK(read_set("set @@tx_isolation = 'x'", {})[0].kind == Kind::kOneShot);
  const auto charset = read_set("set char set latin1, a = 1", {});
  REQUIRE(charset.size() == 2);
  CHECK(charset[0].name == "character_set");
  CHECK(charset[0].value == "latin1");
  CHECK(read_set("set session authorization somebody@else", {})[0].kind == Kind::kUnknown);
  CHECK(read_set("set @@session.tx_isolation = 'x'", {})[0].kind == Kind::kVariable);
}

TEST_CASE("comments of other versions assign nothing") {
  const auto count = [](std::string_view text, hyperdrive::proxy::sql::MysqlServer server) {
    return read_set(text, {}, server).size();
  };
  const hyperdrive::proxy::sql::MysqlServer mariadb{true, 101119}, mysql{false, 80036};
  CHECK(count("/*!50503 set a = 1 */", mariadb) == 1);
  CHECK(count("/*!50701 set a = 1 */", mariadb) == 0);
  CHECK(count("/*!50701 set a = 1 */", mysql) == 1);
  CHECK(count("/*!100100 set a = 1 */", mariadb) == 1);
  CHECK(count("/*!101200 set a = 1 */", mariadb) == 0);
  CHECK(count("/*M!50701 set a = 1 */", mariadb) == 1);
  CHECK(count("/*M! set a = 1 */", mysql) == 0);
  CHECK(count("/*! set a = 1 */", mysql) == 1);
  CHECK(count("/*!99999 set a = 1 */", {}) == 1);
  CHECK(count("set /*!99999 a = 1, /* b */ c = 2, */ d = 3", mysql) == 1);
}

TEST_CASE("SET TRANSACTION holds for one transaction, with SESSION for all") {
  using Kind = Assignment::Kind;
  CHECK(read_set("set transaction read only", {})[0].kind == Kind::kOneShot);
  const auto session =
      read_set("set session transaction isolation level repeatable read, read write", {});
  REQUIRE(session.size() == 2);
  CHECK(session[0].value == "'repeatable-read'");
  CHECK(session[1].value == "0");
  CHECK(session[1].kind == Kind::kVariable);
}

TEST_CASE("a value that cannot be quoted for every sql_mode is not kept") {
  CHECK(quoted_value("a\\b").empty());
  CHECK(quoted_value("it's").empty());
  CHECK(quoted_value("42") == "42");
  CHECK(quoted_value("SYSTEM") == "'SYSTEM'");
}

TEST_CASE("what a SET copies from a user variable of before is named") {
  using Names = std::vector<std::string>;
  const auto copied = [](std::string_view text) { return copied_from_before(read_set(text, {})); };
  CHECK(copied("/*!40101 SET sql_mode = @OLD_MODE */") == Names{"@old_mode"});
  CHECK(copied("set names utf8, @@session.sql_mode := @a, time_zone = @b") == Names{"@a", "@b"});
  CHECK(copied("set @a = @@sql_mode, sql_mode = @A").empty());
  CHECK(copied("set @a = 1, sql_mode = @b") == Names{"@b"});
  CHECK(copied("set @a = @b, @c = @d").empty());
  CHECK(copied("set sql_mode = concat(@@sql_mode, '@a')").empty());
}

TEST_CASE("what a SET takes from one system variable is told from other values") {
  const auto is_system = [](std::string_view text) { return read_set(text, {})[0].is_system; };
  CHECK(is_system("/*!40101 SET @OLD=@@SQL_MODE, SQL_MODE='' */"));
  CHECK(is_system("set @a := @@session.sql_log_bin"));
  CHECK_FALSE(is_system("set @a = @@sql_mode + 1"));
  CHECK_FALSE(is_system("set @a = @b"));
  CHECK_FALSE(is_system("set @a = 1"));
}

TEST_CASE("kept user variables are bounded, and the last value holds") {
  KeptVariables kept;
  CHECK(kept.statement().empty());
  kept.keep("@a", "1");
  kept.keep("@b", "'x'");
  kept.keep("@a", "2");
  CHECK(kept.statement() == "SET @b = 'x', @a = 2");
  kept.keep("@b", "");
  CHECK_FALSE(kept.knows("@b"));
  for (int i = 0; i < 100; ++i) kept.keep("@v" + std::to_string(i), "1");
  CHECK_FALSE(kept.knows("@v99"));
  CHECK(KeptVariables::may_keep("@old_sql_mode"));
  CHECK_FALSE(KeptVariables::may_keep("@`old`"));
  CHECK_FALSE(KeptVariables::may_keep("@"));
}
