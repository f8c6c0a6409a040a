#include <catch2/catch.hpp>
#include <string>

#include "proxy/wire/postgres/backend.hpp"
#include "proxy/wire/postgres/build.hpp"
#include "proxy/wire/postgres/sqlstate.hpp"

using namespace hyperdrive::proxy::wire::postgres;
using namespace std::string_literals;

namespace {

Bytes body_of(const std::string& message) {
  const MessageRead read = read_message(message);
  REQUIRE(read.status == ReadStatus::kOk);
  REQUIRE(read.header.size() == message.size());
  return read.body;
}

Column column(Bytes name, std::uint32_t type, Format format = Format::kText) {
  return {name, 1259, 1, type, 4, -1, format};
}

}  // namespace

TEST_CASE("an error carries its fields there and back") {
  std::string out;
  append_error_response(out, {"FATAL", sqlstate::kInvalidPassword, "no", "detail", "hint"});
  const auto error = parse_error_response(body_of(out));
  REQUIRE(error);
  CHECK(error->severity == "FATAL");
  CHECK(error->sqlstate == "28P01");
  CHECK(error->message == "no");
  CHECK(error->detail == "detail");
  CHECK(error->hint == "hint");
  CHECK(error_field(body_of(out), Field::kSqlstate) == Bytes("28P01"));
  CHECK_FALSE(error_field(body_of(out), Field::kConstraint));
}

TEST_CASE("an error without its end is malformed, an old server's localized severity is used") {
  CHECK_FALSE(parse_error_response("SFATAL\0Mno"s));
  CHECK_FALSE(parse_error_response("SFATAL\0Mno\0"s));
  CHECK(parse_error_response("SFATAL\0Mno\0\0"s)->severity == "FATAL");
  CHECK_FALSE(error_field("SFATAL\0Mno"s, Field::kMessage));
}

TEST_CASE("row descriptions are compared by what a driver decodes by") {
  const Column told[] = {column("id", 23), column("name", 25)};
  const Column binary[] = {column("id", 23, Format::kBinary), column("name", 25, Format::kBinary)};
  const Column retyped[] = {column("id", 20), column("name", 25)};
  const Column renamed[] = {column("id", 23), column("title", 25)};
  std::string a, b, c, d, shorter;
  append_row_description(a, told);
  append_row_description(b, binary);
  append_row_description(c, retyped);
  append_row_description(d, renamed);
  append_row_description(shorter, std::span(told).first(1));
  CHECK(same_row_shape(body_of(a), body_of(b)));
  CHECK_FALSE(same_row_shape(body_of(a), body_of(c)));
  CHECK_FALSE(same_row_shape(body_of(a), body_of(d)));
  CHECK_FALSE(same_row_shape(body_of(a), body_of(shorter)));
  CHECK_FALSE(same_row_shape(body_of(a), "\0\1x"s));

  std::string reformatted;
  append_row_description(reformatted, *parse_row_description(body_of(a)),
                         parse_bind("\0\0\0\0\0\0\0\1\0\1"s)->result_formats);
  CHECK(reformatted == b);
}

TEST_CASE("data rows tell NULL from empty") {
  const std::optional<Bytes> values[] = {std::nullopt, Bytes(""), Bytes("x")};
  std::string out;
  append_data_row(out, values);
  const auto row = parse_data_row(body_of(out));
  REQUIRE(row);
  REQUIRE(row->size() == 3);
  auto value = row->begin();
  CHECK_FALSE((*value).has_value());
  ++value;
  CHECK((*value)->empty());
}

TEST_CASE("command tags give their rows") {
  CHECK(tag_rows("SELECT 5") == 5u);
  CHECK(tag_rows("INSERT 0 12") == 12u);
  CHECK_FALSE(tag_rows("BEGIN"));
  CHECK_FALSE(tag_rows("CREATE TABLE"));
  CHECK(tag_command("INSERT 0 12") == "INSERT");
  CHECK(tag_command("CREATE TABLE") == "CREATE TABLE");
  CHECK(tag_command("REFRESH MATERIALIZED VIEW") == "REFRESH MATERIALIZED VIEW");
}

TEST_CASE("login messages") {
  std::string out;
  append_authentication(out, Authentication::kMd5Password, "salt");
  CHECK(parse_authentication(body_of(out))->kind == Authentication::kMd5Password);
  CHECK(parse_authentication(body_of(out))->data == "salt");
  CHECK_FALSE(parse_authentication("\0\0\0\5abc"s));
  out.clear();
  append_authentication_sasl(out, {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"});
  const auto names = parse_sasl_mechanisms(parse_authentication(body_of(out))->data);
  REQUIRE(names);
  CHECK(names->size() == 2);
  CHECK_FALSE(parse_sasl_mechanisms("SCRAM-SHA-256"s));
  out.clear();
  append_backend_key_data(out, 99, std::string(32, 'k'));
  CHECK(parse_backend_key_data(body_of(out))->key.size() == 32);
  CHECK_FALSE(parse_backend_key_data("\0\0\0\1abc"s));
  out.clear();
  append_parameter_status(out, "TimeZone", "UTC");
  CHECK(parse_parameter_status(body_of(out))->value == "UTC");
  out.clear();
  append_ready_for_query(out, TransactionStatus::kFailed);
  CHECK(parse_ready_for_query(body_of(out)) == TransactionStatus::kFailed);
  CHECK_FALSE(parse_ready_for_query("X"));
  out.clear();
  const Bytes options[] = {"_pq_.magic"};
  append_negotiate_protocol_version(out, kVersion32, options);
  CHECK(out == "v\0\0\0\x17\0\3\0\2\0\0\0\1_pq_.magic\0"s);
  CHECK(parse_negotiate_protocol_version(body_of(out))->unknown_options.size() == 1);
  CHECK_FALSE(parse_negotiate_protocol_version("\0\3\0\0\xff\xff\xff\xff"s));
}
