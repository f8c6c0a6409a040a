// Events of the binary log: recorded from MariaDB 10.11, and made by hand as MySQL 8 writes them.
#include "proxy/wire/mysql/binlog.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "hex.hpp"
#include "proxy/wire/mysql/binlog_commands.hpp"

using namespace hyperdrive::proxy::wire::mysql;
using hyperdrive::tests::from_hex;
using hyperdrive::tests::to_hex;
using Kind = BinlogEvent::Kind;

namespace {

const std::string kFormat = from_hex(
    "d95f076b0f01000000fc000000000100000000040031302e31312e31392d4d6172696144422d302b646562313275"
    "312d6c6f670000000000000000000000000000000000000000d95f076b13380d000800120004040404120000e400"
    "041a08000000080808020000000a0a0a0000000000000a0a0a000000000000000000000000000000000000000000"
    "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "000000000000041304000d0808080a0a0a01fb3a04f9");
/// INSERT INTO t VALUES (1, 1), with binlog_checksum = CRC32.
const std::string kGtid = from_hex(
    "da5f076ba2010000002a000000f103000008000500000000000000000000000c000000000000755aab50");
const std::string kTableMap = from_hex(
    "da5f076b13010000002d0000004f040000000012000000000001000473686f700001740002030300028c65bc47");
const std::string kWriteRows = from_hex(
    "da5f076b17010000002a00000079040000000012000000000001000203fc01000000010000002564351f");
const std::string kXid = from_hex("da5f076b10010000001f0000009804000000001600000000000000de60597a");
const std::string kGtidAlone = from_hex(
    "dc5f076ba2010000002a00000064060000080008000000000000000000000029000000000000efebfd22");
const std::string kTruncate = from_hex(
    "dc5f076b02010000004d000000b1060000000009000000000000000400001a0000000000010100002054000000000"
    "603737464042d002d00080073686f70007472756e636174652074da4a810c");
const std::string kFirstRotate =
    from_hex("00000000040100000028000000000000002000040000000000000062696e6c6f672e303030303031");
const std::string kRotate = from_hex(
    "dd5f076b04010000002c0000006c0800000000040000000000000062696e6c6f672e30303030303236664b92");
const std::string kCheckpoint =
    from_hex("de5f076ba101000000280000007b01000000000d00000062696e6c6f672e3030303030322beaece3");
const std::string kHeartbeat =
    from_hex("000000001b010000002400000069050000000062696e6c6f672e30303030303177eafc1b");
const std::string kXaPrepare =
    from_hex("e05f076b2601000000250000007b03000000000001000000010000000000000061f40903db");

BinlogDecoder of_mariadb() {
  BinlogDecoder decoder;
  CHECK(decoder.decode(kFormat).kind == Kind::kNothing);
  return decoder;
}

/// An event as a server without checksums writes it.
std::string made(BinlogEventType type, const std::string& body, std::uint16_t flags = 0,
                 std::uint32_t end = 500) {
  std::string bytes;
  PayloadWriter writer(bytes);
  writer.u32(1).u8(static_cast<std::uint8_t>(type)).u32(1);
  writer.u32(static_cast<std::uint32_t>(kBinlogHeaderSize + body.size())).u32(end).u16(flags);
  return bytes + body;
}

/// MySQL 8.0's, without checksums.
std::string mysql_format(std::uint8_t checksums = 0) {
  std::string body;
  PayloadWriter writer(body);
  std::string version = "8.0.36";
  version.resize(50);
  std::string lengths(42, '\0');
  lengths[static_cast<std::size_t>(BinlogEventType::kTableMap) - 1] = 8;
  for (int type = 30; type <= 32; ++type) lengths[static_cast<std::size_t>(type) - 1] = 10;
  writer.u16(4).bytes(version).u32(0).u8(19).bytes(lengths).u8(checksums).u32(0);
  return made(BinlogEventType::kFormatDescription, body);
}

BinlogDecoder of_mysql() {
  BinlogDecoder decoder;
  CHECK(decoder.decode(mysql_format()).kind == Kind::kNothing);
  return decoder;
}

std::string table_map(std::uint64_t id, const std::string& database, const std::string& table) {
  std::string body;
  PayloadWriter writer(body);
  writer.fixed(id, 6).u16(1).u8(static_cast<std::uint8_t>(database.size())).cstring(database);
  writer.u8(static_cast<std::uint8_t>(table.size())).cstring(table);
  writer.u8(1).u8(3).u8(0).u8(0);
  return made(BinlogEventType::kTableMap, body);
}

std::string rows_of(std::uint64_t id, BinlogEventType type = BinlogEventType::kUpdateRows) {
  std::string body;
  PayloadWriter(body).fixed(id, 6).u16(1).u16(2).u8(1).u8(0xff).u8(0).u32(7);
  return made(type, body);
}

std::string query(const std::string& variables, const std::string& database,
                  const std::string& text) {
  std::string body;
  PayloadWriter writer(body);
  writer.u32(9).u32(0).u8(static_cast<std::uint8_t>(database.size())).u16(0);
  writer.u16(static_cast<std::uint16_t>(variables.size())).bytes(variables).cstring(database);
  return made(BinlogEventType::kQuery, body + text);
}

std::string with_flags_and_mode(std::uint64_t mode) {
  std::string variables;
  PayloadWriter(variables).u8(0).u32(0).u8(1).fixed(mode, 8);
  return variables;
}

}  // namespace

TEST_CASE("a transaction of MariaDB gives its table and its end") {
  BinlogDecoder decoder = of_mariadb();
  CHECK(decoder.decode(kGtid).kind == Kind::kBegin);
  CHECK(decoder.decode(kTableMap).kind == Kind::kNothing);
  const BinlogEvent rows = decoder.decode(kWriteRows);
  CHECK(rows.kind == Kind::kRows);
  CHECK(rows.database == "shop");
  CHECK(rows.table == "t");
  const BinlogEvent end = decoder.decode(kXid);
  CHECK(end.kind == Kind::kCommit);
  CHECK(end.header.end == 1176);
  CHECK(decoder.decode(kXaPrepare).kind == Kind::kXaPrepare);
  std::string one_phase = kXaPrepare;
  one_phase[kBinlogHeaderSize] = 1;
  CHECK(decoder.decode(one_phase).kind == Kind::kLooseCommit);
}

TEST_CASE("a statement that is logged by itself comes as its text, without the checksum") {
  BinlogDecoder decoder = of_mariadb();
  CHECK(decoder.decode(kGtidAlone).kind == Kind::kBeginAlone);
  const BinlogEvent event = decoder.decode(kTruncate);
  CHECK(event.kind == Kind::kQuery);
  CHECK(event.database == "shop");
  CHECK(event.text == "truncate t");
  REQUIRE(event.sql_mode);
  CHECK((*event.sql_mode & logged_mode::kAnsiQuotes) == 0);
}

TEST_CASE("files are told before the format and behind it, and checkpoints name them") {
  BinlogDecoder decoder;
  const BinlogEvent first = decoder.decode(kFirstRotate);
  CHECK(first.kind == Kind::kFile);
  CHECK(first.header.is_artificial());
  CHECK(first.file == 1);
  CHECK(first.offset == 4);
  decoder.decode(kFormat);
  const BinlogEvent next = decoder.decode(kRotate);
  CHECK(next.kind == Kind::kFile);
  CHECK(next.file == 2);
  const BinlogEvent checkpoint = decoder.decode(kCheckpoint);
  CHECK(checkpoint.kind == Kind::kCheckpoint);
  CHECK(checkpoint.file == 2);
  CHECK(decoder.decode(kHeartbeat).kind == Kind::kNothing);
}

TEST_CASE("file names end in a number") {
  CHECK(binlog_file_number("a.b.000012") == 12);
  CHECK(binlog_file_number("binlog.1000000") == 1000000);
  CHECK_FALSE(binlog_file_number("binlog."));
  CHECK_FALSE(binlog_file_number("binlog"));
  CHECK_FALSE(binlog_file_number("binlog.00x"));
}

TEST_CASE("a transaction of MySQL has the name that gtid_executed knows it by") {
  BinlogDecoder decoder = of_mysql();
  std::string body = from_hex("003e11fa4771ca11e19e33c80aa9429562");
  PayloadWriter(body).fixed(23, 8);
  const BinlogEvent begin = decoder.decode(made(BinlogEventType::kGtid, body));
  CHECK(begin.kind == Kind::kBegin);
  CHECK(begin.gtid == "3e11fa47-71ca-11e1-9e33-c80aa9429562:23");
  decoder.decode(table_map(77, "shop", "item"));
  const BinlogEvent rows = decoder.decode(rows_of(77));
  CHECK(rows.kind == Kind::kRows);
  CHECK(rows.database == "shop");
  CHECK(rows.table == "item");
  CHECK(decoder.decode(rows_of(77, BinlogEventType::kPartialUpdateRows)).kind == Kind::kRows);
}

TEST_CASE("what cannot be read without its name or its contents says so") {
  BinlogDecoder decoder = of_mysql();
  CHECK(decoder.decode(made(BinlogEventType::kAnonymousGtid, "x")).kind == Kind::kUnnamed);
  CHECK(decoder.decode(made(BinlogEventType::kGtidTagged, "x")).kind == Kind::kUnnamed);
  CHECK(decoder.decode(made(BinlogEventType::kTransactionPayload, "x")).kind == Kind::kPayload);
  constexpr auto kIncident = static_cast<BinlogEventType>(26);
  constexpr auto kLoad = static_cast<BinlogEventType>(18);
  constexpr auto kNew = static_cast<BinlogEventType>(99);
  for (const auto type : {kIncident, kLoad, kNew, BinlogEventType::kMariadbQueryCompressed}) {
    CHECK(decoder.decode(made(type, "xxxx")).kind == Kind::kAnything);
  }
  CHECK(decoder.decode(made(kNew, "xxxx", 0x80)).kind == Kind::kNothing);
}

TEST_CASE("rows of a table that was not described are anybody's") {
  BinlogDecoder decoder = of_mysql();
  CHECK(decoder.decode(rows_of(5)).kind == Kind::kAnything);
  CHECK(decoder.decode(rows_of(0xffffff)).kind == Kind::kNothing);
  decoder.decode(table_map(5, "a", "b"));
  CHECK(decoder.decode(rows_of(5)).kind == Kind::kRows);
  decoder.decode(mysql_format());
  CHECK(decoder.decode(rows_of(5)).kind == Kind::kAnything);
}

TEST_CASE("an event that is cut off keeps its table but not its text") {
  BinlogDecoder decoder = of_mariadb();
  decoder.decode(kTableMap);
  CHECK(decoder.decode(std::string_view(kWriteRows).substr(0, 30)).kind == Kind::kRows);
  CHECK(decoder.decode(std::string_view(kTruncate).substr(0, 70)).kind == Kind::kAnything);
}

TEST_CASE("a text whose sql_mode is not told has none") {
  BinlogDecoder decoder = of_mysql();
  const BinlogEvent plain = decoder.decode(query("", "shop", "alter table t add x int"));
  CHECK(plain.kind == Kind::kQuery);
  CHECK_FALSE(plain.sql_mode);
  const BinlogEvent quoted =
      decoder.decode(query(with_flags_and_mode(logged_mode::kAnsiQuotes), "", "BEGIN"));
  CHECK(quoted.text == "BEGIN");
  CHECK(quoted.sql_mode == logged_mode::kAnsiQuotes);
}

TEST_CASE("bytes that are no event are told apart, and random ones do no harm") {
  BinlogDecoder decoder = of_mariadb();
  CHECK(decoder.decode("").kind == Kind::kBroken);
  CHECK(decoder.decode(kXid + "x").kind == Kind::kBroken);
  std::mt19937 random(4711);
  const std::string all[] = {kFormat,   kGtid,   kTableMap,  kWriteRows,
                             kTruncate, kRotate, kCheckpoint};
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = all[random() % std::size(all)];
    for (unsigned i = random() % 4; i > 0; --i) {
      bytes[4 + random() % (bytes.size() - 4)] = static_cast<char>(random());
    }
    decoder.decode(std::string_view(bytes).substr(0, random() % (bytes.size() + 1)));
  }
}

TEST_CASE("a set of global identifiers is read, grows, and is written in both forms") {
  const auto set = GtidSet::parse(
      "3E11FA47-71CA-11E1-9E33-C80AA9429562:1-3:7,\n 4e11fa47-71ca-11e1-9e33-c80aa9429562:1");
  REQUIRE(set);
  GtidSet grown = *set;
  CHECK(grown.add("3e11fa47-71ca-11e1-9e33-c80aa9429562:4"));
  CHECK(grown.add("3e11fa47-71ca-11e1-9e33-c80aa9429562:9"));
  CHECK(grown.add("3e11fa47-71ca-11e1-9e33-c80aa9429562:8"));
  CHECK(grown.text() ==
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-4:7-9,4e11fa47-71ca-11e1-9e33-c80aa9429562:1");
  CHECK(to_hex(GtidSet::parse("3e11fa47-71ca-11e1-9e33-c80aa9429562:5")->encoded()) ==
        "01000000000000003e11fa4771ca11e19e33c80aa942956201000000000000000500000000000000"
        "0600000000000000");
  CHECK(GtidSet::parse("")->empty());
  for (const char* bad :
       {"x:1", "3e11fa47-71ca-11e1-9e33-c80aa9429562:tag:1-5",
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:5-3", "3e11fa47-71ca-11e1-9e33-c80aa942956:1"}) {
    INFO(bad);
    CHECK_FALSE(GtidSet::parse(bad));
  }
}

TEST_CASE("a replica's commands are as the protocol's pages have them") {
  CHECK(to_hex(binlog_dump_argument(0x80000001u, "binlog.000001", 4)) ==
        "04000000"
        "0000"
        "01000080"
        "62696e6c6f672e303030303031");
  CHECK(to_hex(register_replica_argument(0x80000001u, "hyperdrive")) ==
        "01000080"
        "0a68797065726472697665"
        "00"
        "00"
        "0000"
        "00000000"
        "00000000");
  CHECK(to_hex(binlog_dump_gtid_argument(2, *GtidSet::parse(""))) ==
        "0400"
        "02000000"
        "00000000"
        "0400000000000000"
        "08000000"
        "0000000000000000");
}
