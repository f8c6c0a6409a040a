#include "proxy/wire/postgres/replication.hpp"

#include <catch2/catch.hpp>

using namespace hyperdrive::proxy::wire::postgres;

namespace {
std::string big_endian(std::uint64_t value) {
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}
}  // namespace

TEST_CASE("log data and keepalives are read, anything else is not") {
  const std::string data =
      "w" + big_endian(0x16B374D848) + big_endian(0x1700000000) + big_endian(0) + "BEGIN 725";
  const auto read = parse_xlog_data(data);
  REQUIRE(read);
  CHECK(read->start == 0x16B374D848);
  CHECK(read->end == 0x1700000000);
  CHECK(read->payload == "BEGIN 725");
  const std::string alive = "k" + big_endian(42) + big_endian(0) + "\1";
  REQUIRE(parse_primary_keepalive(alive));
  CHECK(parse_primary_keepalive(alive)->end == 42);
  CHECK(parse_primary_keepalive(alive)->reply_requested);
  CHECK_FALSE(parse_primary_keepalive(data));
  CHECK_FALSE(parse_xlog_data(alive));
  for (std::size_t size = 0; size < 25; ++size) CHECK_FALSE(parse_xlog_data(data.substr(0, size)));
  for (std::size_t size = 0; size < alive.size(); ++size) {
    CHECK_FALSE(parse_primary_keepalive(alive.substr(0, size)));
  }
}

TEST_CASE("a standby status is one CopyData message with three equal positions") {
  std::string out;
  append_standby_status(out, 0x0102030405060708, 946'684'800'000'001, true);
  REQUIRE(out.size() == 39);
  CHECK(out[0] == 'd');
  CHECK(out[4] == 38);
  CHECK(out[5] == 'r');
  for (int i = 0; i < 3; ++i) CHECK(out.substr(6 + 8 * i, 8) == big_endian(0x0102030405060708));
  CHECK(out.substr(30, 8) == big_endian(1));
  CHECK(out[38] == 1);
}

TEST_CASE("positions are written and read as Postgres does") {
  CHECK(format_lsn(0x16B374D848) == "16/b374d848");
  CHECK(parse_lsn("16/B374D848") == 0x16B374D848);
  CHECK(parse_lsn("0/0") == 0u);
  CHECK_FALSE(parse_lsn("16"));
  CHECK_FALSE(parse_lsn("/1"));
  CHECK_FALSE(parse_lsn("1/"));
  CHECK_FALSE(parse_lsn("1/g"));
  CHECK_FALSE(parse_lsn("1/123456789"));
}
