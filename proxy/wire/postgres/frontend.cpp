#include "proxy/wire/postgres/frontend.hpp"

namespace hyperdrive::proxy::wire::postgres {
namespace {

constexpr std::size_t kStartupPrefix = 8;  // length, version
constexpr Bytes kProtocolOptionPrefix = "_pq_.";
constexpr std::size_t kCancelPrefix = 12;  // and the process id; a key follows

bool parse_parameters(Bytes body, StartupParameters& startup) {
  Cursor cursor(body);
  for (;;) {
    const Bytes name = cursor.cstring();
    if (!cursor.ok()) return false;
    if (name.empty()) return cursor.done();
    const Bytes value = cursor.cstring();
    if (name.starts_with(kProtocolOptionPrefix)) {
      startup.protocol_options.push_back(name);
    } else {
      startup.values.emplace_back(name, value);
    }
  }
}

CancelRequest cancel_request(Bytes packet) {
  if (packet.size() < kCancelPrefix + kShortCancelKey ||
      packet.size() > kCancelPrefix + kMaxCancelKey) {
    return {};
  }
  return {load_u32(packet.data() + kStartupPrefix), packet.substr(kCancelPrefix)};
}

/// What it has behind its number is nobody's concern, as with Postgres.
StartupRead read_request(Bytes packet, Version version) {
  using Kind = StartupRead::Kind;
  StartupRead read{Kind::kUnsupportedVersion, packet.size(), {}, {}};
  read.startup.version = version;
  switch (version.minor) {
    case kSslRequestMinor:
      read.kind = Kind::kSslRequest;
      break;
    case kGssEncRequestMinor:
      read.kind = Kind::kGssEncRequest;
      break;
    case kCancelRequestMinor:
      read.kind = Kind::kCancelRequest;
      read.cancel = cancel_request(packet);
      break;
    default:
      break;
  }
  return read;
}

std::optional<Named> parse_named(Bytes body) {
  Cursor cursor(body);
  const char target = cursor.u8();
  const Bytes name = cursor.cstring();
  if (!cursor.done()) return std::nullopt;
  if (target != static_cast<char>(Target::kStatement) &&
      target != static_cast<char>(Target::kPortal)) {
    return std::nullopt;
  }
  return Named{static_cast<Target>(target), name};
}

bool valid_formats(const Formats& formats, std::size_t count) {
  if (formats.size() > 1 && formats.size() != count) return false;
  for (const std::int16_t format : formats) {
    if (format != 0 && format != 1) return false;
  }
  return true;
}

}  // namespace

Bytes StartupParameters::get(Bytes name) const {
  const Bytes* found = find(name);
  return found == nullptr ? Bytes{} : *found;
}

const Bytes* StartupParameters::find(Bytes name) const {
  const Bytes* found = nullptr;
  for (const auto& [key, value] : values) {
    if (key == name) found = &value;
  }
  return found;
}

StartupRead read_startup(Bytes bytes) {
  using Kind = StartupRead::Kind;
  if (bytes.empty()) return {Kind::kNeedMore, 0, {}, {}};
  // A length that begins with this byte would be far over the limit, so nothing else is meant.
  if (bytes[0] == kTlsHandshake) return {Kind::kDirectTls, 0, {}, {}};
  // The highest byte of any acceptable length is zero: other protocols are recognised at once.
  if (bytes[0] != 0) return {Kind::kNonsense, 0, {}, {}};
  if (bytes.size() < 4) return {Kind::kNeedMore, 0, {}, {}};
  const std::size_t length = load_u32(bytes.data());
  if (length < kStartupPrefix || length - 4 > kMaxStartupPacket) {
    return {Kind::kNonsense, 0, {}, {}};
  }
  if (bytes.size() < length) return {Kind::kNeedMore, 0, {}, {}};

  const Bytes packet = bytes.substr(0, length);
  const Version version = Version::unpack(load_u32(packet.data() + 4));
  if (version.major == kRequestMajor) return read_request(packet, version);

  StartupRead read{Kind::kStartup, length, {}, {}};
  read.startup.version = version;
  if (version.major != kVersion30.major) {
    read.kind = Kind::kUnsupportedVersion;
  } else if (!parse_parameters(packet.substr(kStartupPrefix), read.startup)) {
    read.kind = Kind::kBadLayout;
  }
  return read;
}

Negotiation negotiate(const StartupParameters& startup) {
  Negotiation result{std::min(startup.version, kVersion32), false};
  result.tell_client = startup.version > kVersion32 || !startup.protocol_options.empty();
  return result;
}

std::optional<Query> parse_query(Bytes body) {
  Cursor cursor(body);
  const Bytes text = cursor.cstring();
  if (!cursor.done()) return std::nullopt;
  return Query{text};
}

std::optional<Parse> parse_parse(Bytes body) {
  Cursor cursor(body);
  Parse parse;
  parse.name = cursor.cstring();
  parse.text = cursor.cstring();
  const std::size_t types = cursor.u16();
  parse.types = Oids::take(cursor, types);
  if (!cursor.done()) return std::nullopt;
  return parse;
}

std::optional<Bind> parse_bind(Bytes body) {
  Cursor cursor(body);
  Bind bind;
  bind.portal = cursor.cstring();
  bind.statement = cursor.cstring();
  const std::size_t parameter_formats = cursor.u16();
  bind.parameter_formats = Formats::take(cursor, parameter_formats);
  const std::size_t parameters = cursor.u16();
  bind.parameters = Values::take(cursor, parameters);
  const std::size_t result_formats = cursor.u16();
  bind.result_formats = Formats::take(cursor, result_formats);
  if (!cursor.done() || !valid_formats(bind.parameter_formats, parameters)) return std::nullopt;
  // How many result formats are right depends on the statement; only the server knows.
  if (!valid_formats(bind.result_formats, result_formats)) return std::nullopt;
  return bind;
}

std::optional<Named> parse_describe(Bytes body) { return parse_named(body); }
std::optional<Named> parse_close(Bytes body) { return parse_named(body); }

std::optional<Execute> parse_execute(Bytes body) {
  Cursor cursor(body);
  Execute execute;
  execute.portal = cursor.cstring();
  execute.max_rows = cursor.i32();
  if (!cursor.done()) return std::nullopt;
  return execute;
}

std::optional<SaslInitialResponse> parse_sasl_initial_response(Bytes body) {
  Cursor cursor(body);
  SaslInitialResponse response;
  response.mechanism = cursor.cstring();
  response.data = ValueItem::decode(cursor);
  if (!cursor.done()) return std::nullopt;
  return response;
}

std::optional<Bytes> parse_password(Bytes body) {
  Cursor cursor(body);
  const Bytes password = cursor.cstring();
  if (!cursor.done()) return std::nullopt;
  return password;
}

std::optional<BindNames> peek_bind_names(Bytes body_so_far) {
  Cursor cursor(body_so_far);
  BindNames names;
  names.portal = cursor.cstring();
  names.statement = cursor.cstring();
  if (!cursor.ok()) return std::nullopt;
  names.size = names.portal.size() + names.statement.size() + 2;
  return names;
}

Format format_of(const Formats& formats, std::size_t index) {
  if (formats.empty()) return Format::kText;
  const std::size_t wanted = formats.size() == 1 ? 0 : index;
  if (wanted >= formats.size()) return Format::kText;
  return static_cast<Format>(load_u16(formats.raw().data() + wanted * 2));
}

}  // namespace hyperdrive::proxy::wire::postgres
