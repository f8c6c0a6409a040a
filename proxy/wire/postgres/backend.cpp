#include "proxy/wire/postgres/backend.hpp"

#include <charconv>

namespace hyperdrive::proxy::wire::postgres {

Column ColumnItem::decode(Cursor& cursor) {
  Column column;
  column.name = cursor.cstring();
  column.table_oid = cursor.u32();
  column.attribute = static_cast<std::int16_t>(cursor.u16());
  column.type_oid = cursor.u32();
  column.type_size = static_cast<std::int16_t>(cursor.u16());
  column.type_modifier = cursor.i32();
  column.format = static_cast<Format>(cursor.u16());
  return column;
}

std::optional<AuthenticationRequest> parse_authentication(Bytes body) {
  Cursor cursor(body);
  AuthenticationRequest request;
  request.kind = static_cast<Authentication>(cursor.i32());
  request.data = cursor.rest();
  if (!cursor.done()) return std::nullopt;
  if (request.kind == Authentication::kMd5Password && request.data.size() != 4) return std::nullopt;
  return request;
}

std::optional<Strings> parse_sasl_mechanisms(Bytes data) {
  Cursor walk(data);
  std::size_t count = 0;
  while (!walk.cstring().empty()) ++count;
  if (!walk.done()) return std::nullopt;
  Cursor cursor(data);
  return Strings::take(cursor, count);
}

std::optional<BackendKeyData> parse_backend_key_data(Bytes body) {
  Cursor cursor(body);
  BackendKeyData data;
  data.process_id = cursor.u32();
  data.key = cursor.rest();
  if (!cursor.done() || data.key.size() < kShortCancelKey || data.key.size() > kMaxCancelKey) {
    return std::nullopt;
  }
  return data;
}

std::optional<ParameterStatus> parse_parameter_status(Bytes body) {
  Cursor cursor(body);
  ParameterStatus status;
  status.name = cursor.cstring();
  status.value = cursor.cstring();
  if (!cursor.done()) return std::nullopt;
  return status;
}

std::optional<TransactionStatus> parse_ready_for_query(Bytes body) {
  constexpr Bytes kStatuses = "ITE";
  if (body.size() != 1 || kStatuses.find(body[0]) == Bytes::npos) return std::nullopt;
  return static_cast<TransactionStatus>(body[0]);
}

std::optional<NegotiateProtocolVersion> parse_negotiate_protocol_version(Bytes body) {
  Cursor cursor(body);
  NegotiateProtocolVersion negotiate;
  negotiate.newest = Version::unpack(cursor.u32());
  const std::uint32_t options = cursor.u32();
  negotiate.unknown_options = Strings::take(cursor, options);
  if (!cursor.done()) return std::nullopt;
  return negotiate;
}

std::optional<NotificationResponse> parse_notification_response(Bytes body) {
  Cursor cursor(body);
  NotificationResponse notification;
  notification.process_id = cursor.u32();
  notification.channel = cursor.cstring();
  notification.payload = cursor.cstring();
  if (!cursor.done()) return std::nullopt;
  return notification;
}

std::optional<Bytes> parse_command_complete(Bytes body) {
  Cursor cursor(body);
  const Bytes tag = cursor.cstring();
  if (!cursor.done()) return std::nullopt;
  return tag;
}

std::optional<Columns> parse_row_description(Bytes body) {
  Cursor cursor(body);
  const std::size_t count = cursor.u16();
  const Columns columns = Columns::take(cursor, count);
  if (!cursor.done()) return std::nullopt;
  return columns;
}

std::optional<Oids> parse_parameter_description(Bytes body) {
  Cursor cursor(body);
  const std::size_t count = cursor.u16();
  const Oids types = Oids::take(cursor, count);
  if (!cursor.done()) return std::nullopt;
  return types;
}

std::optional<Values> parse_data_row(Bytes body) {
  Cursor cursor(body);
  const std::size_t count = cursor.u16();
  const Values values = Values::take(cursor, count);
  if (!cursor.done()) return std::nullopt;
  return values;
}

std::optional<ErrorFields> parse_error_response(Bytes body) {
  Cursor cursor(body);
  ErrorFields fields;
  Bytes localized;
  while (const char type = cursor.u8()) {
    const Bytes value = cursor.cstring();
    switch (static_cast<Field>(type)) {
      case Field::kSeverityLocalized:
        localized = value;
        break;
      case Field::kSeverity:
        fields.severity = value;
        break;
      case Field::kSqlstate:
        fields.sqlstate = value;
        break;
      case Field::kMessage:
        fields.message = value;
        break;
      case Field::kDetail:
        fields.detail = value;
        break;
      case Field::kHint:
        fields.hint = value;
        break;
      default:
        break;  // the rest is for the client, who gets the whole message
    }
  }
  if (!cursor.done()) return std::nullopt;
  if (fields.severity.empty()) fields.severity = localized;
  return fields;
}

std::optional<Bytes> error_field(Bytes body, Field field) {
  Cursor cursor(body);
  while (const char type = cursor.u8()) {
    const Bytes value = cursor.cstring();
    if (cursor.ok() && type == static_cast<char>(field)) return value;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> tag_rows(Bytes tag) {
  const std::size_t space = tag.rfind(' ');
  if (space == Bytes::npos) return std::nullopt;
  const Bytes digits = tag.substr(space + 1);
  std::uint64_t rows = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), rows);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return rows;
}

Bytes tag_command(Bytes tag) {
  const std::size_t digit = tag.find_first_of("0123456789");
  if (digit == Bytes::npos || digit == 0 || tag[digit - 1] != ' ') return tag;
  return tag.substr(0, digit - 1);
}

bool same_row_shape(Bytes told, Bytes now) {
  const auto before = parse_row_description(told);
  const auto after = parse_row_description(now);
  if (!before || !after || before->size() != after->size()) return false;
  auto a = before->begin();
  for (auto b = after->begin(); b != after->end(); ++a, ++b) {
    if (a->name != b->name || a->type_oid != b->type_oid || a->type_size != b->type_size ||
        a->type_modifier != b->type_modifier) {
      return false;
    }
  }
  return true;
}

}  // namespace hyperdrive::proxy::wire::postgres
