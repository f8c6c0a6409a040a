// What the fuzzer and the deterministic unit test feed to the MySQL codec: payloads of both
// directions, under several sets of capabilities.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/wire/mysql/auth.hpp"
#include "proxy/wire/mysql/handshake.hpp"
#include "proxy/wire/mysql/response.hpp"
#include "proxy/wire/mysql/statement.hpp"

namespace hyperdrive::tests::fuzz {

namespace my = hyperdrive::proxy::wire::mysql;

inline void must(bool holds) {
  if (!holds) std::abort();
}

inline constexpr std::uint64_t kCapabilities[] = {
    0,
    my::capability::kProtocol41 | my::capability::kSecureConnection,
    my::capability::kProtocol41 | my::capability::kSecureConnection | my::capability::kPluginAuth |
        my::capability::kConnectWithDb | my::capability::kConnectAttrs |
        my::capability::kPluginAuthLenencClientData | my::capability::kDeprecateEof |
        my::capability::kSessionTrack,
    ~std::uint64_t{0},
};

/// What parses is built again from its parts; that parses to the same parts.
inline void mysql_round_trips(my::Bytes payload, std::uint64_t capabilities) {
  if (const auto ok = my::parse_ok(payload, capabilities)) {
    const std::string built = my::build_ok(*ok, capabilities);
    const auto again = my::parse_ok(built, capabilities);
    must(again && again->affected_rows == ok->affected_rows && again->warnings == ok->warnings);
    my::for_each_change(ok->session_state, [](const my::SessionChange&) {});
  }
  if (const auto column = my::parse_column_definition(payload, capabilities)) {
    const std::string built = my::build_column_definition(*column, capabilities);
    const auto again = my::parse_column_definition(built, capabilities);
    must(again && again->name == column->name && again->type == column->type);
  }
  for (const std::uint16_t parameters : {0, 1, 9, 65535}) {
    const auto execute = my::parse_execute(payload, parameters, capabilities);
    if (!execute || !execute->types_bound) continue;
    const std::string built = my::build_execute(*execute, 7, execute->types, capabilities);
    const auto again = my::parse_execute(built, parameters, capabilities);
    must(again && again->statement == 7 && again->values == execute->values);
  }
}

inline void mysql_packets(my::Bytes input) {
  my::Bytes payload = input;
  if (const auto read = my::read_packet(input); read.status == my::ReadStatus::kOk) {
    must(read.header.size() <= input.size());
    payload = read.payload;
  }
  if (const auto greeting = my::parse_greeting(payload)) {
    const std::string built = my::build_greeting(*greeting);
    const auto again = my::parse_greeting(built);
    must(again && again->scramble == greeting->scramble);
  }
  if (const auto response = my::parse_handshake_response(payload)) {
    my::parse_handshake_response(my::build_handshake_response(*response));
  }
  my::parse_ssl_request(payload);
  my::parse_auth_switch_request(payload);
  my::parse_auth_more_data(payload);
  my::parse_err(payload);
  my::parse_eof(payload);
  my::reply_kind(payload);
  my::parse_prepare_ok(payload);
  my::statement_id(payload);
  my::parse_long_data(payload);
  my::for_each_change(payload, [](const my::SessionChange&) {});
  for (const std::uint64_t capabilities : kCapabilities) {
    my::parse_change_user(payload, capabilities);
    my::parse_column_count(payload, capabilities);
    my::ends_rows(payload, capabilities);
    mysql_round_trips(payload, capabilities);
  }
  static const auto verifier = my::PasswordVerifier::of(core::Secret("password"));
  must(!my::check_native_password(verifier, "01234567890123456789", payload));
  must(!my::check_caching_sha2_password(verifier, "01234567890123456789", payload));
  // OpenSSL takes milliseconds to find that something is no key.
  if (payload.starts_with("-----BEGIN")) {
    (void)my::rsa_password(core::Secret("password"), "01234567890123456789", payload);
  }
}

/// One well-formed example of each payload, to mutate.
inline const std::vector<std::string>& mysql_seeds() {
  static const std::vector<std::string> seeds = [] {
    std::vector<std::string> all;
    my::Greeting greeting;
    greeting.server_version = "8.0.36";
    greeting.capabilities = kCapabilities[2];
    greeting.scramble = "01234567890123456789";
    greeting.plugin = "caching_sha2_password";
    all.push_back(my::build_greeting(greeting));
    my::HandshakeResponse response;
    response.capabilities = kCapabilities[2];
    response.user = "ada";
    response.auth_response = "0123456789";
    response.database = "shop";
    response.plugin = "mysql_native_password";
    response.attributes = {{"_client_name", "x"}, {"pid", "1"}};
    all.push_back(my::build_handshake_response(response));
    all.push_back(my::build_ssl_request({kCapabilities[2], 1 << 24, 45}));
    all.push_back(my::build_auth_switch_request("client_ed25519", "01234567890123456789"));
    all.push_back(my::build_auth_more_data("\x04"));
    using namespace std::string_literals;
    const std::string state =
        "\0\x0e\x0a"
        "autocommit\x02ON"s;
    all.push_back(
        my::build_ok({1, 2, my::status::kSessionStateChanged, 3, "info", state}, kCapabilities[2]));
    all.push_back(my::build_err({1064, "42000", "no"}));
    all.push_back(my::build_eof({1, 2}));
    my::ColumnDefinition column;
    column.catalog = "def";
    column.schema = column.table = column.original_table = "shop";
    column.name = column.original_name = "id";
    column.type = 3;
    all.push_back(my::build_column_definition(column, kCapabilities[2]));
    all.push_back(my::build_column_definition(column, kCapabilities[3]));
    all.push_back(my::build_prepare_ok({1, 2, 3, 0}));
    my::Execute execute;
    execute.parameters = 1;
    execute.null_bitmap = my::Bytes("\0", 1);
    execute.types_bound = true;
    execute.types = my::Bytes("\x03\x00", 2);
    execute.values = my::Bytes("\x01\x00\x00\x00", 4);
    all.push_back(my::build_execute(execute, 1, execute.types, 0));
    all.push_back(
        "\x11"
        "ada\0\x04"
        "0123shop\0\x2d\0mysql_native_password\0"s);
    all.push_back("\x18\x01\0\0\0\x02\0data"s);
    const std::size_t plain = all.size();
    for (std::size_t i = 0; i < plain; ++i) {
      std::string packet;
      my::append_packet(packet, 0, all[i]);
      all.push_back(std::move(packet));
    }
    return all;
  }();
  return seeds;
}

}  // namespace hyperdrive::tests::fuzz
