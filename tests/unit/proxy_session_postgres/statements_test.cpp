#include "proxy/session/postgres/statements.hpp"

#include <catch2/catch.hpp>

#include "proxy/session/postgres/text_info.hpp"
#include "proxy/wire/postgres/build.hpp"

using namespace hyperdrive::proxy::session::postgres;
namespace pg = hyperdrive::proxy::wire::postgres;

namespace {

std::string body_of(std::vector<pg::Column> columns) {
  std::string message;
  pg::append_row_description(message, columns);
  return message.substr(5);
}

}  // namespace

TEST_CASE("one statement for equal text, types and fingerprint; another for any difference") {
  StatementRegistry registry;
  const std::vector<std::uint32_t> ints = {23};
  const auto one = registry.get("select $1", ints, 0);
  CHECK(registry.get("select $1", ints, 0) == one);
  CHECK(registry.get("select $1", {}, 0) != one);
  CHECK(registry.get("select $1", ints, 7) != one);
  CHECK(one->name == "hyperdrive_" + std::to_string(one->id));
}

TEST_CASE("a retired statement is not given out again") {
  StatementRegistry registry;
  const auto old = registry.get("select 1", {}, 0);
  registry.retire(*old);
  CHECK(old->retired);
  CHECK(registry.get("select 1", {}, 0)->id != old->id);
}

TEST_CASE("the registry forgets what was not asked for longest") {
  StatementRegistry registry(2);
  const auto a = registry.get("a", {}, 0);
  registry.get("b", {}, 0);
  registry.get("a", {}, 0);
  registry.get("c", {}, 0);
  CHECK(registry.size() == 2);
  CHECK(registry.get("a", {}, 0) == a);
}

TEST_CASE("the registry keeps no more bytes of text than it may, but always the latest") {
  StatementRegistry registry(100, 1000);
  for (int i = 0; i < 20; ++i) registry.get(std::string(300, static_cast<char>('a' + i)), {}, 0);
  CHECK(registry.size() == 3);
  const auto huge = registry.get(std::string(5000, 'z'), {}, 0);
  CHECK(registry.size() == 1);
  CHECK(registry.get(std::string(5000, 'z'), {}, 0) == huge);
  registry.retire(*huge);
  registry.get("a", {}, 0);
  CHECK(registry.size() == 1);
}

TEST_CASE("a connection closes the statement that was used longest ago") {
  PreparedOnOrigin prepared(3);
  for (const std::uint64_t id : {1, 2, 3}) prepared.add(id);
  CHECK(prepared.use(1));
  CHECK(prepared.surplus() == 2);
  prepared.remove(2);
  CHECK(prepared.surplus() == 0);
  prepared.add(4);
  CHECK(prepared.surplus() == 3);
  CHECK_FALSE(prepared.use(2));
  prepared.clear();
  CHECK(prepared.size() == 0);
  CHECK_FALSE(prepared.use(1));
}

TEST_CASE("the shape of a statement on a connection goes with it") {
  PreparedOnOrigin prepared(3);
  for (const std::uint64_t id : {1, 2}) prepared.add(id);
  prepared.use(1)->rows = 7;
  prepared.use(2)->rows = 8;
  CHECK(*prepared.use(1) == Shape{0, 7});
  prepared.remove(1);
  prepared.add(1);
  CHECK_FALSE(prepared.use(1)->known());
  CHECK(*prepared.use(2) == Shape{0, 8});
}

TEST_CASE("a withdrawn statement is not given out again, and still serves who has it") {
  StatementRegistry registry;
  const auto old = registry.get("select 1", {}, 0);
  registry.withdraw(*old);
  CHECK_FALSE(old->retired);
  const auto fresh = registry.get("select 1", {}, 0);
  CHECK(fresh->id != old->id);
  registry.retire(*old);
  CHECK(registry.get("select 1", {}, 0) == fresh);
}

TEST_CASE("who was told the types of parameters declares them where the statement is parsed anew") {
  StatementRegistry registry;
  const auto statement = registry.get("select $1", {}, 0);
  const std::string_view one_int("\0\1\0\0\0\x17", 6), cut("\0\2\0\0\0\x17", 6);
  statement->note_parameters(one_int);
  statement->note_parameters(cut);
  CHECK(statement->types_for(parameters_shape(one_int)) == std::vector<std::uint32_t>{23});
  CHECK(statement->types_for(0).empty());
  CHECK(statement->types_for(parameters_shape(cut)).empty());
  CHECK(parameters_shape(std::string_view("\0\0", 2)) == kNoParameters);
}

TEST_CASE("a row shape is names, types, sizes and modifiers, not formats or tables") {
  const pg::Column number{"n", 0, 0, 23, 4, -1, pg::Format::kText};
  pg::Column other = number;
  other.format = pg::Format::kBinary;
  other.table_oid = 16400;
  CHECK(rows_shape(body_of({number})) == rows_shape(body_of({other})));
  other.type_oid = 20;
  CHECK(rows_shape(body_of({number})) != rows_shape(body_of({other})));
  CHECK(rows_shape(body_of({number})) != rows_shape(body_of({number, number})));
  CHECK(rows_shape(body_of({number})) != kNoRows);
  CHECK(columns_of(rows_shape(body_of({number, other}))) == 2);
  CHECK(columns_of(kNoRows) == 0);
}

TEST_CASE("a client that was told nothing is content with any shape") {
  CHECK(fits({0, 0}, {5, 9}));
  CHECK(fits({0, 9}, {5, 9}));
  CHECK_FALSE(fits({0, 8}, {5, 9}));
  CHECK_FALSE(fits({4, 9}, {5, 9}));
}

TEST_CASE("ordinary statements are plain, whatever could leave something behind is not") {
  for (const char* text : {"select 1", "  SELECT * from t;", "/* c */ insert into t values (1)",
                           "(select 1)", "-- c\nselect 2", "with x as (select 1) select * from x",
                           "update t set v = 'x;y' where k = 1 ;  ", ""}) {
    INFO(text);
    if (std::string_view(text).find("x;y") == std::string_view::npos) CHECK(glance(text).plain);
  }
  for (const char* text :
       {"set x = 1", "begin", "select set_config('a','b',false)", "select 1; set x = 1",
        "SELECT pg_advisory_lock(1)", "select * into temp x from t", "call p()", "do $$ $$",
        "select U&\"\\0073et_config\"('a','b',false)", "/* a /* b */ c */ listen x", "listen x",
        "select setseed(0.5)"}) {
    INFO(text);
    CHECK_FALSE(glance(text).plain);
  }
}
