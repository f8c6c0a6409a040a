// What the fuzzer and the deterministic unit test feed to the Postgres codec.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/wire/postgres/build.hpp"
#include "proxy/wire/postgres/scram.hpp"

namespace hyperdrive::tests::fuzz {

namespace pg = hyperdrive::proxy::wire::postgres;

template <class Items>
std::size_t walk(const Items& items) {
  std::size_t count = 0;
  for (auto it = items.begin(); it != items.end(); ++it) ++count;
  return count;
}

inline void expect(bool holds) {
  if (!holds) std::abort();
}

/// A body that parses as a Bind or Parse, built again from its parts, is the same bytes.
inline void check_round_trips(pg::Bytes body) {
  std::string out;
  if (const auto parse = pg::parse_parse(body)) {
    pg::append_parse(out, parse->name, parse->text, parse->types);
    expect(pg::Bytes(out).substr(pg::kHeaderSize) == body);
    expect(walk(parse->types) == parse->types.size());
  }
  if (const auto bind = pg::parse_bind(body)) {
    out.clear();
    const std::vector<std::optional<pg::Bytes>> values(bind->parameters.begin(),
                                                       bind->parameters.end());
    std::vector<pg::Format> in, results;
    for (const auto format : bind->parameter_formats) in.push_back(static_cast<pg::Format>(format));
    for (const auto format : bind->result_formats)
      results.push_back(static_cast<pg::Format>(format));
    pg::append_bind(out, {bind->portal, bind->statement, in, values, results});
    expect(pg::Bytes(out).substr(pg::kHeaderSize) == body);
    expect(pg::peek_bind_names(body)->statement == bind->statement);
  }
}

/// The bytes as what a client says in a SCRAM exchange; no such client can know the password.
inline void scram_messages(pg::Bytes input) {
  static const pg::ScramVerifier verifier =
      pg::ScramVerifier::derive(core::Secret("password"), 1, "salt");
  for (const pg::Bytes mechanism : {pg::kScram, pg::kScramPlus}) {
    pg::ScramServer server(verifier, mechanism == pg::kScramPlus ? "hash" : "");
    if (!server.first(mechanism, input)) continue;
    expect(!server.final(input));
  }
  pg::ScramServer server(verifier);
  expect(server.first(pg::kScram, "n,,n=,r=nonce").has_value());
  expect(!server.final(input));
}

inline void postgres_messages(pg::Bytes input) {
  scram_messages(input);
  const pg::StartupRead startup = pg::read_startup(input);
  expect(startup.size <= input.size());
  if (startup.kind == pg::StartupRead::Kind::kStartup) pg::negotiate(startup.startup);

  pg::Bytes body = input;
  if (const pg::MessageRead read = pg::read_message(input); read.status == pg::ReadStatus::kOk) {
    body = read.body;
  }
  check_round_trips(body);
  pg::parse_query(body);
  pg::parse_describe(body);
  pg::parse_execute(body);
  pg::parse_sasl_initial_response(body);
  pg::parse_password(body);
  pg::peek_bind_names(body);
  if (const auto request = pg::parse_authentication(body)) {
    if (const auto names = pg::parse_sasl_mechanisms(request->data)) walk(*names);
  }
  pg::parse_backend_key_data(body);
  pg::parse_parameter_status(body);
  pg::parse_ready_for_query(body);
  if (const auto negotiate = pg::parse_negotiate_protocol_version(body)) {
    walk(negotiate->unknown_options);
  }
  pg::parse_notification_response(body);
  if (const auto tag = pg::parse_command_complete(body)) {
    pg::tag_rows(*tag);
    pg::tag_command(*tag);
  }
  if (const auto columns = pg::parse_row_description(body)) {
    expect(walk(*columns) == columns->size());
    expect(pg::same_row_shape(body, body));
  }
  if (const auto types = pg::parse_parameter_description(body)) walk(*types);
  if (const auto row = pg::parse_data_row(body)) walk(*row);
  pg::parse_error_response(body);
  pg::error_field(body, pg::Field::kHint);
}

/// One well-formed example of each message, to mutate.
inline const std::vector<std::string>& postgres_seeds() {
  static const std::vector<std::string> seeds = [] {
    std::vector<std::string> all;
    const auto add = [&all](auto build) { build(all.emplace_back()); };
    const pg::NameValue parameters[] = {{"user", "ada"}, {"database", "shop"}, {"_pq_.x", "1"}};
    const std::uint32_t types[] = {23, 25};
    const std::optional<pg::Bytes> values[] = {pg::Bytes("7"), std::nullopt, pg::Bytes("")};
    const pg::Format formats[] = {pg::Format::kText, pg::Format::kBinary, pg::Format::kText};
    const pg::Column columns[] = {{"id", 1, 1, 23, 4, -1, pg::Format::kText}};
    const pg::Bytes options[] = {"_pq_.x"};
    add([&](auto& o) { pg::append_startup(o, pg::kVersion32, parameters); });
    add([&](auto& o) { pg::append_ssl_request(o); });
    add([&](auto& o) { pg::append_cancel_request(o, 7, "0123456789abcdef"); });
    add([&](auto& o) { pg::append_parse(o, "s", "select $1", types); });
    add([&](auto& o) { pg::append_bind(o, {"p", "s", formats, values, formats}); });
    add([&](auto& o) { pg::append_describe(o, pg::Target::kStatement, "s"); });
    add([&](auto& o) { pg::append_execute(o, "p", 5); });
    add([&](auto& o) { pg::append_query(o, "select 1"); });
    add([&](auto& o) { pg::append_sasl_initial_response(o, "SCRAM-SHA-256", "n,,n=,r=x"); });
    add([&](auto& o) { pg::append_authentication_sasl(o, {"SCRAM-SHA-256"}); });
    add([&](auto& o) { pg::append_backend_key_data(o, 9, "abcd"); });
    add([&](auto& o) { pg::append_negotiate_protocol_version(o, pg::kVersion32, options); });
    add([&](auto& o) { pg::append_row_description(o, columns); });
    add([&](auto& o) { pg::append_parameter_description(o, types); });
    add([&](auto& o) { pg::append_data_row(o, values); });
    add([&](auto& o) { pg::append_command_complete(o, "INSERT 0 1"); });
    add([](auto& o) { o = "n,,n=user,r=nonce"; });
    add([](auto& o) { o = "p=tls-server-end-point,,n=,r=nonce"; });
    add([](auto& o) { o = "c=biws,r=nonce,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="; });
    add([&](auto& o) { pg::append_error_response(o, {"ERROR", "42601", "no", "d", "h"}); });
    return all;
  }();
  return seeds;
}

}  // namespace hyperdrive::tests::fuzz
