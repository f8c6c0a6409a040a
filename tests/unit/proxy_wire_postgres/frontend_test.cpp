#include <catch2/catch.hpp>
#include <string>

#include "proxy/wire/postgres/build.hpp"
#include "proxy/wire/postgres/frontend.hpp"

using namespace hyperdrive::proxy::wire::postgres;
using namespace std::string_literals;
using Kind = StartupRead::Kind;

namespace {

std::string startup_packet(Version version, std::vector<NameValue> parameters) {
  std::string out;
  append_startup(out, version, parameters);
  return out;
}

Bytes body_of(const std::string& message) {
  const MessageRead read = read_message(message);
  REQUIRE(read.status == ReadStatus::kOk);
  REQUIRE(read.header.size() == message.size());
  return read.body;
}

}  // namespace

TEST_CASE("a header is read from five bytes and judged by its length") {
  CHECK(read_header("Q\0\0\0"s).status == ReadStatus::kNeedMore);
  CHECK(read_header("Q\0\0\0\3"s).status == ReadStatus::kMalformed);
  CHECK(read_header("Q\xff\xff\xff\xff"s).status == ReadStatus::kTooLong);
  CHECK(read_header("Q\0\0\0\x20"s, 16).status == ReadStatus::kTooLong);
  const HeaderRead read = read_header("Q\0\0\0\x20"s);
  REQUIRE(read.status == ReadStatus::kOk);
  CHECK(read.header.is(Frontend::kQuery));
  CHECK(read.header.size() == 33);
  CHECK(read.header.body_size() == 28);
}

TEST_CASE("a startup packet arrives byte by byte") {
  const std::string packet =
      startup_packet(kVersion30, {{"user", "ada"}, {"database", "shop"}, {"user", "grace"}});
  for (std::size_t size = 0; size < packet.size(); ++size) {
    CHECK(read_startup(Bytes(packet).substr(0, size)).kind == Kind::kNeedMore);
  }
  const std::string with_more = packet + "rest";
  const StartupRead read = read_startup(with_more);
  REQUIRE(read.kind == Kind::kStartup);
  CHECK(read.size == packet.size());
  CHECK(read.startup.version == kVersion30);
  CHECK(read.startup.get("user") == "grace");
  CHECK(read.startup.get("database") == "shop");
  CHECK(read.startup.get("options").empty());
  CHECK_FALSE(negotiate(read.startup).tell_client);
}

TEST_CASE("requests in place of a startup packet are told apart") {
  std::string ssl;
  append_ssl_request(ssl);
  CHECK(read_startup(ssl).kind == Kind::kSslRequest);
  CHECK(read_startup(ssl).size == 8);
  CHECK(read_startup("\0\0\0\x08\x04\xd2\x16\x30"s).kind == Kind::kGssEncRequest);
  CHECK(read_startup("\0\0\0\x09\x04\xd2\x16\x2f\0"s).kind == Kind::kSslRequest);
  CHECK(read_startup("\0\0\0\x08\x04\xd2\x16\x31"s).kind == Kind::kUnsupportedVersion);
  CHECK(read_startup("\x16\x03\x01"s).kind == Kind::kDirectTls);
  CHECK(read_startup("GET / HTTP/1.1\r\n").kind == Kind::kNonsense);
  CHECK(read_startup("\0\0\0\7"s).kind == Kind::kNonsense);
  CHECK(read_startup("\0\0\x27\x15"s).kind == Kind::kNonsense);
  CHECK(read_startup("\0\0\0\x09\0\2\0\0\0"s).kind == Kind::kUnsupportedVersion);
}

TEST_CASE("a cancel key may have 4 to 256 bytes") {
  for (const std::size_t size : {3, 4, 32, 256, 257}) {
    std::string packet;
    append_cancel_request(packet, 4711, std::string(size, 'k'));
    const StartupRead read = read_startup(packet);
    REQUIRE(read.kind == Kind::kCancelRequest);
    if (size < 4 || size > 256) {
      CHECK(read.cancel.key.empty());
    } else {
      CHECK(read.cancel.process_id == 4711);
      CHECK(read.cancel.key == std::string(size, 'k'));
    }
  }
}

TEST_CASE("a newer minor version or an unknown protocol option is negotiated down") {
  CHECK_FALSE(negotiate(read_startup(startup_packet(kVersion32, {})).startup).tell_client);
  const auto newer = negotiate(read_startup(startup_packet({3, 9999}, {{"user", "a"}})).startup);
  CHECK(newer.tell_client);
  CHECK(newer.version == kVersion32);
  const std::string packet = startup_packet(kVersion30, {{"_pq_.magic", "1"}, {"user", "a"}});
  const StartupRead read = read_startup(packet);
  REQUIRE(read.startup.protocol_options.size() == 1);
  CHECK(read.startup.values.size() == 1);
  CHECK(negotiate(read.startup).tell_client);
  CHECK(negotiate(read.startup).version == kVersion30);
}

TEST_CASE("startup parameters without their end are malformed") {
  CHECK(read_startup("\0\0\0\x0d\0\3\0\0user\0"s).kind == Kind::kBadLayout);
  CHECK(read_startup("\0\0\0\x0a\0\3\0\0\0\0"s).kind == Kind::kBadLayout);
  CHECK(read_startup("\0\0\0\x08\0\3\0\0"s).kind == Kind::kBadLayout);
}

TEST_CASE("Parse gives name, text and types") {
  std::string out;
  const std::uint32_t types[] = {23, 0, 1043};
  append_parse(out, "s1", "select $1", types);
  const auto parse = parse_parse(body_of(out));
  REQUIRE(parse);
  CHECK(parse->name == "s1");
  CHECK(parse->text == "select $1");
  CHECK(std::vector<std::uint32_t>(parse->types.begin(), parse->types.end()) ==
        std::vector<std::uint32_t>{23, 0, 1043});
  std::string again;
  append_parse(again, parse->name, parse->text, parse->types);
  CHECK(again == out);
  CHECK_FALSE(parse_parse(body_of(out).substr(0, body_of(out).size() - 1)));
  CHECK_FALSE(parse_parse(std::string(body_of(out)) + "x"));
}

TEST_CASE("Bind gives formats, parameters with NULL apart from empty, and result formats") {
  const Format formats[] = {Format::kText, Format::kBinary, Format::kText};
  const Format results[] = {Format::kBinary};
  const std::optional<Bytes> values[] = {Bytes("7"), std::nullopt, Bytes("")};
  std::string out;
  append_bind(out, {"portal", "statement", formats, values, results});
  const auto bind = parse_bind(body_of(out));
  REQUIRE(bind);
  CHECK(bind->portal == "portal");
  CHECK(bind->statement == "statement");
  REQUIRE(bind->parameters.size() == 3);
  auto value = bind->parameters.begin();
  CHECK(*value == Bytes("7"));
  CHECK_FALSE((*++value).has_value());
  CHECK((*++value) == Bytes(""));
  CHECK(format_of(bind->parameter_formats, 1) == Format::kBinary);
  CHECK(format_of(bind->parameter_formats, 2) == Format::kText);
  CHECK(format_of(bind->result_formats, 17) == Format::kBinary);
  CHECK(format_of(Formats{}, 0) == Format::kText);
}

TEST_CASE("a Bind whose counts or lengths lie is malformed") {
  CHECK_FALSE(parse_bind("\0\0\0\0\0\1\0\0\0\5ab\0\0"s));        // value shorter than said
  CHECK_FALSE(parse_bind("\0\0\0\0\0\1\xff\xff\xff\xfe\0\0"s));  // length -2
  CHECK_FALSE(parse_bind("\0\0\0\2\0\0\0\0\0\0\0\0"s));          // two formats, no parameter
  CHECK_FALSE(parse_bind("\0\0\xff\xff"s));                      // 65535 formats, none there
  CHECK_FALSE(parse_bind("\0\0\0\1\0\2\0\0\0\0"s));              // format code 2
  CHECK_FALSE(parse_bind("portal"s));
  CHECK(parse_bind("\0\0\0\0\0\0\0\0"s));
}

TEST_CASE("a Bind is renamed from its beginning alone") {
  const std::optional<Bytes> values[] = {Bytes("a long value")};
  std::string original, expected, renamed;
  append_bind(original, {"p", "client_name", {}, values, {}});
  append_bind(expected, {"p", "h42", {}, values, {}});
  const Bytes body = body_of(original);
  CHECK_FALSE(peek_bind_names(body.substr(0, 13)));
  const auto names = peek_bind_names(body.substr(0, 14));
  REQUIRE(names);
  append_bind_renamed(renamed, read_header(original).header, *names, "h42");
  renamed.append(body.substr(names->size));
  CHECK(renamed == expected);
}

TEST_CASE("Describe, Close, Execute, Query and password messages") {
  std::string out;
  append_describe(out, Target::kPortal, "p1");
  CHECK(parse_describe(body_of(out))->target == Target::kPortal);
  CHECK(parse_describe(body_of(out))->name == "p1");
  CHECK_FALSE(parse_close("Xname\0"s));
  CHECK_FALSE(parse_close("Sname"s));
  out.clear();
  append_execute(out, "p1", 50);
  CHECK(parse_execute(body_of(out))->max_rows == 50);
  out.clear();
  append_query(out, "select 1");
  CHECK(parse_query(body_of(out))->text == "select 1");
  CHECK_FALSE(parse_query("a\0b\0"s));
  out.clear();
  append_sasl_initial_response(out, "SCRAM-SHA-256", "n,,n=,r=x");
  const auto sasl = parse_sasl_initial_response(body_of(out));
  REQUIRE(sasl);
  CHECK(sasl->mechanism == "SCRAM-SHA-256");
  CHECK(sasl->data == Bytes("n,,n=,r=x"));
  CHECK(parse_password("pw\0"s) == Bytes("pw"));
}
