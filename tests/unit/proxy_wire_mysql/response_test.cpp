#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "hex.hpp"
#include "proxy/wire/mysql/handshake.hpp"
#include "proxy/wire/mysql/response.hpp"
#include "proxy/wire/mysql/statement.hpp"

using namespace hyperdrive::proxy::wire::mysql;
using hyperdrive::tests::from_hex;
using namespace std::string_literals;

namespace {

constexpr std::uint64_t kPlain = capability::kProtocol41;
constexpr std::uint64_t kTracking = kPlain | capability::kSessionTrack | capability::kDeprecateEof;

// What MariaDB 10.11 sent for SET autocommit=0, time_zone='+01:00'; USE shop; START TRANSACTION.
const std::string kVariables = from_hex(
    "000000004000000024000f0a6175746f636f6d6d6974034f464600110974696d655f7a6f6e65062b30313a3030");
const std::string kSchema = from_hex("00000000400000000701050473686f70");
const std::string kTransaction = from_hex("00000001400000000b050908545f5f5f5f5f5f5f");
const std::string kError = from_hex("ff280423343230303073796e746178");
const std::string kExecute = from_hex("1701000000000100000000010800fd002900000000000000026869");
const std::string kPrepared = from_hex("000100000002000200000000");
const std::string kColumn = from_hex(
    "0364656600000001"
    "65000c2d0004000000fd0100270000");
const std::string kExtended =
    from_hex("03646566000000017000070005706f696e740c3f00ffffffffff8000000000");

std::vector<SessionChange> changes(Bytes state) {
  std::vector<SessionChange> all;
  CHECK(for_each_change(state, [&all](const SessionChange& change) { all.push_back(change); }));
  return all;
}

}  // namespace

TEST_CASE("packets are framed, and long payloads go over several") {
  std::string out;
  CHECK(append_packet(out, 3, "abc") == 4);
  CHECK(out == "\3\0\0\3abc"s);
  CHECK(read_packet(out).payload == "abc");
  CHECK(read_packet(Bytes(out).substr(0, 6)).status == ReadStatus::kNeedMore);
  CHECK(read_packet(Bytes(out).substr(0, 3)).status == ReadStatus::kNeedMore);
  CHECK(read_packet(out, 2).status == ReadStatus::kTooLong);

  out.clear();
  CHECK(append_packet(out, 0xff, std::string(kMaxPayload, 'x')) == 1);
  CHECK(read_packet(out).header.continues());
  CHECK(Bytes(out).substr(kHeaderSize + kMaxPayload) == "\0\0\0\0"s);
}

TEST_CASE("length-encoded integers there and back") {
  for (const std::uint64_t value :
       {0ull, 250ull, 251ull, 65535ull, 65536ull, 16777215ull, 16777216ull, 1ull << 63}) {
    std::string out;
    PayloadWriter(out).lenenc(value);
    Cursor cursor(out);
    CHECK(cursor.lenenc() == value);
    CHECK(cursor.done());
  }
  for (const std::string& bad : {"\xfb"s, "\xff"s, "\xfc\1"s, "\xfe\1\2\3"s, ""s}) {
    Cursor cursor(bad);
    cursor.lenenc();
    CHECK_FALSE(cursor.ok());
  }
  Cursor lying(
      "\xfe\xff\xff\xff\xff\xff\xff\xff\xff"
      "abc"s);
  CHECK(lying.lenenc_string().empty());
  CHECK_FALSE(lying.ok());
}

TEST_CASE("OK packets tell what changed in the session") {
  const auto variables = parse_ok(kVariables, kTracking);
  REQUIRE(variables);
  CHECK((variables->status & status::kAutocommit) == 0);
  const auto changed = changes(variables->session_state);
  REQUIRE(changed.size() == 2);
  CHECK(changed[0].name == "autocommit");
  CHECK(changed[0].value == "OFF");
  CHECK(changed[1].name == "time_zone");
  CHECK(changed[1].value == "+01:00");
  CHECK(changes(parse_ok(kSchema, kTracking)->session_state)[0].value == "shop");
  const auto transaction = parse_ok(kTransaction, kTracking);
  CHECK((transaction->status & status::kInTrans) != 0);
  CHECK(changes(transaction->session_state)[0].type == SessionTrack::kTransactionState);
  CHECK(changes(transaction->session_state)[0].value == "T_______");
}

TEST_CASE("OK packets are rebuilt for a client with other capabilities") {
  for (const std::string& recorded : {kVariables, kSchema, kTransaction}) {
    const auto ok = parse_ok(recorded, kTracking);
    REQUIRE(ok);
    CHECK(build_ok(*ok, kTracking) == recorded);
    const std::string plain = build_ok(*ok, kPlain);
    CHECK(plain.size() == 7);
    CHECK((parse_ok(plain, kPlain)->status & status::kSessionStateChanged) == 0);
  }
  const Ok with_info{3, 7, status::kAutocommit, 1, "Rows matched: 3", ""};
  CHECK(parse_ok(build_ok(with_info, kTracking), kTracking)->info == "Rows matched: 3");
  CHECK(parse_ok(build_ok(with_info, kPlain), kPlain)->info == "Rows matched: 3");
  CHECK(parse_ok(build_ok(with_info, kPlain), kPlain)->last_insert_id == 7);
}

TEST_CASE("malformed session states and OKs are refused") {
  for (std::size_t cut = 1; cut < 12; ++cut) {
    // Seven bytes are an OK that leaves the rest out.
    const bool whole = kSchema.size() - cut == 7;
    CHECK(parse_ok(Bytes(kSchema).substr(0, kSchema.size() - cut), kTracking).has_value() == whole);
  }
  CHECK_FALSE(
      for_each_change("\0\x0f\x0a"
                      "autocommit"s,
                      [](const SessionChange&) {}));
  CHECK_FALSE(for_each_change("\1\0"s, [](const SessionChange&) {}));
  CHECK_FALSE(changes_session("\5\x09\x08T_______"));
  CHECK_FALSE(changes_session(""));
  CHECK(
      changes_session("\5\x09\x08T_______\2\2\1"
                      "1"));
  CHECK(changes_session("\1\0"s));
  CHECK(for_each_change("", [](const SessionChange&) {}));
  CHECK_FALSE(parse_ok("", kPlain));
  CHECK_FALSE(parse_ok("\x05", kPlain));
}

TEST_CASE("errors with and without a SQLSTATE") {
  const auto error = parse_err(kError);
  REQUIRE(error);
  CHECK(error->code == 1064);
  CHECK(error->sqlstate == "42000");
  CHECK(error->message == "syntax");
  CHECK(build_err(*error) == kError);
  CHECK(parse_err("\xff\x10\x04Too many connections"s)->message == "Too many connections");
  CHECK_FALSE(parse_err("\xff\x10"s));
}

TEST_CASE("the end of rows is told from a row") {
  const std::string eof = build_eof({0, status::kAutocommit});
  CHECK(eof == from_hex("fe00000200"));
  CHECK(parse_eof(eof)->status == status::kAutocommit);
  CHECK(ends_rows(eof, kPlain));
  CHECK(ends_rows(from_hex("fe000002000000"), kTracking));
  CHECK_FALSE(ends_rows(from_hex("fe000002000000"), kPlain));
  CHECK_FALSE(ends_rows(from_hex("013102c3a9fb"), kTracking));
  CHECK_FALSE(ends_rows("", kTracking));
  CHECK(parse_ok(from_hex("fe000002000000"), kTracking)->status == status::kAutocommit);
}

TEST_CASE("first replies are told apart") {
  CHECK(reply_kind(kSchema) == ReplyKind::kOk);
  CHECK(reply_kind(kError) == ReplyKind::kErr);
  CHECK(reply_kind("\xfb"
                   "file.csv") == ReplyKind::kLocalInfile);
  CHECK(reply_kind("\x03") == ReplyKind::kResultSet);
  CHECK(reply_kind("") == ReplyKind::kMalformed);
  CHECK(parse_column_count("\x03", kPlain)->columns == 3);
  CHECK_FALSE(parse_column_count("\x03\x01"s, kPlain));
  const auto cached = parse_column_count("\x02\0"s, capability::kMariadbCacheMetadata);
  CHECK(cached->columns == 2);
  CHECK_FALSE(cached->metadata_follows);
}

TEST_CASE("column definitions are read and built, MariaDB's extension in or out") {
  const auto column = parse_column_definition(kColumn, kPlain);
  REQUIRE(column);
  CHECK(column->name == "e");
  CHECK(column->type == 0xfd);
  CHECK(column->charset == 45);
  CHECK(column->decimals == 39);
  CHECK(build_column_definition(*column, kPlain) == kColumn);

  const auto extended = parse_column_definition(kExtended, capability::kMariadbExtendedMetadata);
  REQUIRE(extended);
  CHECK(extended->extended == "\0\5point"s);
  CHECK(build_column_definition(*extended, capability::kMariadbExtendedMetadata) == kExtended);
  const std::string plain = build_column_definition(*extended, kPlain);
  CHECK(parse_column_definition(plain, kPlain)->name == "p");
}

TEST_CASE("prepared statements are told apart by their parts") {
  const auto prepared = parse_prepare_ok(kPrepared);
  REQUIRE(prepared);
  CHECK(prepared->statement == 1);
  CHECK(prepared->columns == 2);
  CHECK(prepared->parameters == 2);
  CHECK(build_prepare_ok(*prepared) == kPrepared);
  CHECK_FALSE(parse_prepare_ok(kError));
}

TEST_CASE("an execution goes to another statement id, with the types that its client left out") {
  const auto first = parse_execute(kExecute, 2, kPlain);
  REQUIRE(first);
  CHECK(first->statement == 1);
  CHECK(first->types_bound);
  CHECK(first->types == "\x08\0\xfd\0"s);
  CHECK(first->values == from_hex("2900000000000000026869"));
  CHECK(build_execute(*first, 1, "", kPlain) == kExecute);

  // The second time the client sends no types (mysqlnd).
  const std::string again = from_hex(
      "17010000000001000000"
      "00"
      "00"
      "2a00000000000000026869");
  const auto second = parse_execute(again, 2, kPlain);
  REQUIRE(second);
  CHECK_FALSE(second->types_bound);
  const std::string elsewhere = build_execute(*second, 9, first->types, kPlain);
  const auto there = parse_execute(elsewhere, 2, kPlain);
  CHECK(there->statement == 9);
  CHECK(there->types == first->types);
  CHECK(there->values == second->values);

  std::string moved = kExecute;
  set_statement_id(moved, 0x01020304);
  CHECK(statement_id(moved) == 0x01020304u);
  CHECK_FALSE(statement_id("\x17\1\0\0"s));
}

TEST_CASE("executions whose counts lie are refused") {
  CHECK_FALSE(parse_execute(kExecute, 65535, kPlain));
  CHECK_FALSE(parse_execute(Bytes(kExecute).substr(0, 14), 2, kPlain));
  CHECK_FALSE(parse_execute("\x16\1\0\0\0\0\1\0\0\0"s, 0, kPlain));
  CHECK(parse_execute("\x17\1\0\0\0\0\1\0\0\0"s, 0, kPlain));
  // With query attributes the packet has its own count, here an absurd one.
  CHECK_FALSE(parse_execute("\x17\1\0\0\0\x08\1\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff\xff\0"s, 2,
                            capability::kQueryAttributes));
}

TEST_CASE("random and mutated packets are parsed within their bounds") {
  constexpr unsigned kSeed = 20261123;
  INFO("seed " << kSeed);
  std::mt19937 random(kSeed);
  HandshakeResponse response;
  response.capabilities = capability::kProtocol41 | capability::kPluginAuth |
                          capability::kConnectAttrs | capability::kSecureConnection;
  response.user = "ada";
  response.attributes = {{"name", "value"}};
  const std::string seeds[] = {kVariables, kSchema, kError,    kExecute,
                               kPrepared,  kColumn, kExtended, build_handshake_response(response)};
  for (int round = 0; round < 20'000; ++round) {
    std::string input = seeds[random() % std::size(seeds)];
    for (unsigned i = random() % 4; i > 0 && !input.empty(); --i) {
      input[random() % input.size()] = static_cast<char>(random());
      if (random() % 3 == 0) input.resize(random() % (input.size() + 1));
    }
    const std::vector<char> exact(input.begin(), input.end());
    const Bytes bytes(exact.data(), exact.size());
    const std::uint64_t capabilities =
        (static_cast<std::uint64_t>(random()) << 32 | random()) | capability::kProtocol41;
    parse_greeting(bytes);
    parse_handshake_response(bytes);
    parse_ssl_request(bytes);
    parse_auth_switch_request(bytes);
    parse_change_user(bytes, capabilities);
    if (const auto ok = parse_ok(bytes, capabilities)) {
      for_each_change(ok->session_state, [](const SessionChange&) {});
    }
    parse_err(bytes);
    parse_eof(bytes);
    reply_kind(bytes);
    parse_column_count(bytes, capabilities);
    parse_column_definition(bytes, capabilities);
    parse_prepare_ok(bytes);
    if (const auto execute =
            parse_execute(bytes, static_cast<std::uint16_t>(random()), capabilities)) {
      // Given back unchanged when nothing is changed (an empty list of types says "not bound").
      if (execute->parameters == 0 || execute->types_bound == !execute->types.empty()) {
        CHECK(build_execute(*execute, execute->statement, "", capabilities).size() == bytes.size());
      }
    }
    parse_long_data(bytes);
  }
}
