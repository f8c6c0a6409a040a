// The packets of a login: greeting, TLS request, response, switch of the method, more data.
//
// parse_* take a payload and answer nothing when it is not exactly such a packet (a trailing zero
// or an absent last field, as old servers and lazy clients have it, is forgiven). build_* give
// payloads.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/wire/mysql/packet.hpp"

namespace hyperdrive::proxy::wire::mysql {

/// The server's first packet (HandshakeV10).
struct Greeting {
  Bytes server_version;
  std::uint32_t connection_id = 0;
  std::uint64_t capabilities = 0;  ///< with MariaDB's above bit 32
  std::uint8_t charset = 0;
  std::uint16_t status = 0;
  std::string scramble;  ///< 20 bytes: both parts, without the zero behind
  Bytes plugin;
};
std::optional<Greeting> parse_greeting(Bytes payload);
std::string build_greeting(const Greeting& greeting);

using Attributes = std::vector<std::pair<Bytes, Bytes>>;

/// HandshakeResponse41.
struct HandshakeResponse {
  std::uint64_t capabilities = 0;  ///< with MariaDB's above bit 32, where the client sent them
  std::uint32_t max_packet = 0;
  std::uint8_t charset = 0;
  Bytes user;
  Bytes auth_response;
  Bytes database;
  Bytes plugin;
  Attributes attributes;
};
/// Nothing for clients older than 4.1 too.
std::optional<HandshakeResponse> parse_handshake_response(Bytes payload);
std::string build_handshake_response(const HandshakeResponse& response);

/// SSLRequest: the fixed beginning of a response, alone, with kSsl.
struct SslRequest {
  std::uint64_t capabilities = 0;
  std::uint32_t max_packet = 0;
  std::uint8_t charset = 0;
};
std::optional<SslRequest> parse_ssl_request(Bytes payload);
std::string build_ssl_request(const SslRequest& request);

struct AuthSwitchRequest {
  Bytes plugin;
  Bytes data;  ///< the new scramble, without the zero behind
};
std::optional<AuthSwitchRequest> parse_auth_switch_request(Bytes payload);
std::string build_auth_switch_request(Bytes plugin, Bytes scramble);
/// What follows 0x01: a caching_sha2 state byte, or a public key in PEM.
std::optional<Bytes> parse_auth_more_data(Bytes payload);
std::string build_auth_more_data(Bytes data);

/// COM_CHANGE_USER's payload, the command byte included.
struct ChangeUser {
  Bytes user;
  Bytes auth_response;
  Bytes database;
  std::uint16_t charset = 0;
  Bytes plugin;
  Attributes attributes;
};
std::optional<ChangeUser> parse_change_user(Bytes payload, std::uint64_t capabilities);

}  // namespace hyperdrive::proxy::wire::mysql
