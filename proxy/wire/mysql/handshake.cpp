#include "proxy/wire/mysql/handshake.hpp"

#include <algorithm>

namespace hyperdrive::proxy::wire::mysql {
namespace {

constexpr std::size_t kFirstScramblePart = 8;
constexpr std::size_t kResponseFiller = 19;
constexpr std::size_t kFixedResponse = 32;

bool has(std::uint64_t capabilities, std::uint64_t flag) { return (capabilities & flag) != 0; }

Attributes parse_attributes(Bytes raw, bool& ok) {
  Attributes attributes;
  Cursor cursor(raw);
  while (cursor.ok() && cursor.left() != 0) {
    const Bytes name = cursor.lenenc_string();
    const Bytes value = cursor.lenenc_string();
    if (cursor.ok()) attributes.emplace_back(name, value);
  }
  ok = ok && cursor.ok();
  return attributes;
}

/// The 32 bytes that SSLRequest and HandshakeResponse41 begin with.
SslRequest take_fixed_part(Cursor& cursor) {
  SslRequest fixed;
  fixed.capabilities = cursor.u32();
  fixed.max_packet = cursor.u32();
  fixed.charset = cursor.u8();
  cursor.bytes(kResponseFiller);
  const std::uint64_t extended = cursor.u32();
  if (!has(fixed.capabilities, capability::kLongPassword)) fixed.capabilities |= extended << 32;
  return fixed;
}

void append_fixed_part(PayloadWriter& out, std::uint64_t capabilities, std::uint32_t max_packet,
                       std::uint8_t charset) {
  const bool mariadb = !has(capabilities, capability::kLongPassword);
  out.fixed(capabilities & 0xffffffff, 4).u32(max_packet).u8(charset).zeros(kResponseFiller);
  out.fixed(mariadb ? capabilities >> 32 : 0, 4);
}

}  // namespace

std::optional<Greeting> parse_greeting(Bytes payload) {
  Cursor cursor(payload);
  Greeting greeting;
  if (cursor.u8() != kProtocolVersion) return std::nullopt;
  greeting.server_version = cursor.cstring();
  greeting.connection_id = cursor.u32();
  greeting.scramble = cursor.bytes(kFirstScramblePart);
  cursor.u8();
  greeting.capabilities = cursor.u16();
  greeting.charset = cursor.u8();
  greeting.status = cursor.u16();
  greeting.capabilities |= cursor.fixed(2) << 16;
  const std::size_t scramble_size = cursor.u8();
  cursor.bytes(6);
  const std::uint64_t extended = cursor.u32();
  if (!has(greeting.capabilities, capability::kLongPassword)) {
    greeting.capabilities |= extended << 32;
  }
  constexpr std::size_t kAtLeast = kScrambleSize - kFirstScramblePart + 1;
  const std::size_t second =
      scramble_size > kFirstScramblePart + kAtLeast ? scramble_size - kFirstScramblePart : kAtLeast;
  const Bytes part = cursor.bytes(second);
  greeting.scramble.append(part.substr(0, kScrambleSize - kFirstScramblePart));
  if (has(greeting.capabilities, capability::kPluginAuth))
    greeting.plugin = cursor.cstring_or_rest();
  if (!cursor.ok()) return std::nullopt;
  return greeting;
}

std::string build_greeting(const Greeting& greeting) {
  std::string payload;
  PayloadWriter out(payload);
  const Bytes scramble = greeting.scramble;
  const bool mariadb = !has(greeting.capabilities, capability::kLongPassword);
  out.u8(kProtocolVersion).cstring(greeting.server_version).u32(greeting.connection_id);
  out.bytes(scramble.substr(0, kFirstScramblePart)).u8(0);
  out.fixed(greeting.capabilities & 0xffff, 2).u8(greeting.charset).u16(greeting.status);
  out.fixed(greeting.capabilities >> 16 & 0xffff, 2);
  out.u8(static_cast<std::uint8_t>(kScrambleSize + 1)).zeros(6);
  out.fixed(mariadb ? greeting.capabilities >> 32 : 0, 4);
  out.bytes(scramble.substr(kFirstScramblePart)).u8(0);
  out.cstring(greeting.plugin);
  return payload;
}

std::optional<HandshakeResponse> parse_handshake_response(Bytes payload) {
  Cursor cursor(payload);
  const SslRequest fixed = take_fixed_part(cursor);
  HandshakeResponse response;
  response.capabilities = fixed.capabilities;
  response.max_packet = fixed.max_packet;
  response.charset = fixed.charset;
  if (!has(response.capabilities, capability::kProtocol41)) return std::nullopt;
  response.user = cursor.cstring();
  if (has(response.capabilities, capability::kPluginAuthLenencClientData)) {
    response.auth_response = cursor.lenenc_string();
  } else if (has(response.capabilities, capability::kSecureConnection)) {
    response.auth_response = cursor.bytes(cursor.u8());
  } else {
    response.auth_response = cursor.cstring();
  }
  // Clients set flags whose fields they then leave out at the end (mysqljs, old connectors).
  if (has(response.capabilities, capability::kConnectWithDb) && cursor.left() != 0) {
    response.database = cursor.cstring_or_rest();
  }
  if (has(response.capabilities, capability::kPluginAuth) && cursor.left() != 0) {
    response.plugin = cursor.cstring_or_rest();
  }
  bool ok = true;
  if (has(response.capabilities, capability::kConnectAttrs) && cursor.left() != 0) {
    response.attributes = parse_attributes(cursor.lenenc_string(), ok);
  }
  if (!ok || !cursor.ok()) return std::nullopt;
  return response;
}

std::string build_handshake_response(const HandshakeResponse& response) {
  std::string payload;
  PayloadWriter out(payload);
  const std::uint64_t flags = response.capabilities;
  append_fixed_part(out, flags, response.max_packet, response.charset);
  out.cstring(response.user);
  if (has(flags, capability::kPluginAuthLenencClientData)) {
    out.lenenc_string(response.auth_response);
  } else if (has(flags, capability::kSecureConnection)) {
    out.u8(static_cast<std::uint8_t>(response.auth_response.size())).bytes(response.auth_response);
  } else {
    out.cstring(response.auth_response);
  }
  if (has(flags, capability::kConnectWithDb)) out.cstring(response.database);
  if (has(flags, capability::kPluginAuth)) out.cstring(response.plugin);
  if (has(flags, capability::kConnectAttrs)) {
    std::string attributes;
    PayloadWriter writer(attributes);
    for (const auto& [name, value] : response.attributes) {
      writer.lenenc_string(name).lenenc_string(value);
    }
    out.lenenc_string(attributes);
  }
  return payload;
}

std::optional<SslRequest> parse_ssl_request(Bytes payload) {
  Cursor cursor(payload);
  const SslRequest request = take_fixed_part(cursor);
  if (!cursor.done() || !has(request.capabilities, capability::kSsl)) return std::nullopt;
  return request;
}

std::string build_ssl_request(const SslRequest& request) {
  std::string payload;
  payload.reserve(kFixedResponse);
  PayloadWriter out(payload);
  append_fixed_part(out, request.capabilities | capability::kSsl, request.max_packet,
                    request.charset);
  return payload;
}

std::optional<AuthSwitchRequest> parse_auth_switch_request(Bytes payload) {
  Cursor cursor(payload);
  if (cursor.u8() != reply::kEof) return std::nullopt;
  AuthSwitchRequest request;
  request.plugin = cursor.cstring();
  request.data = cursor.rest();
  if (!cursor.ok()) return std::nullopt;
  // The zero behind a scramble of 20; client_ed25519's 32 random bytes have none, and may end with
  // one.
  if (request.data.size() == kScrambleSize + 1 && request.data.back() == '\0') {
    request.data.remove_suffix(1);
  }
  return request;
}

std::string build_auth_switch_request(Bytes plugin, Bytes scramble) {
  std::string payload;
  PayloadWriter(payload).u8(reply::kEof).cstring(plugin).cstring(scramble);
  return payload;
}

std::optional<Bytes> parse_auth_more_data(Bytes payload) {
  if (payload.empty() || payload[0] != reply::kAuthMoreData) return std::nullopt;
  return payload.substr(1);
}

std::string build_auth_more_data(Bytes data) {
  std::string payload;
  PayloadWriter(payload).u8(reply::kAuthMoreData).bytes(data);
  return payload;
}

std::optional<ChangeUser> parse_change_user(Bytes payload, std::uint64_t capabilities) {
  Cursor cursor(payload);
  if (cursor.u8() != static_cast<std::uint8_t>(Command::kChangeUser)) return std::nullopt;
  ChangeUser change;
  change.user = cursor.cstring();
  change.auth_response = has(capabilities, capability::kSecureConnection)
                             ? cursor.bytes(cursor.u8())
                             : cursor.cstring();
  change.database = cursor.cstring();
  if (cursor.left() != 0) change.charset = cursor.u16();
  if (has(capabilities, capability::kPluginAuth) && cursor.left() != 0) {
    change.plugin = cursor.cstring_or_rest();
  }
  bool ok = true;
  if (has(capabilities, capability::kConnectAttrs) && cursor.left() != 0) {
    change.attributes = parse_attributes(cursor.lenenc_string(), ok);
  }
  if (!ok || !cursor.ok()) return std::nullopt;
  return change;
}

}  // namespace hyperdrive::proxy::wire::mysql
