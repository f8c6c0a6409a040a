// What servers send, as views over the bytes of one message's body (the header taken off).
//
// Every parse_* answers nothing when the body is not exactly such a message. Nothing is copied or
// allocated. Pure functions, any thread.
#pragma once

#include <optional>

#include "proxy/wire/postgres/header.hpp"
#include "proxy/wire/postgres/list.hpp"

namespace hyperdrive::proxy::wire::postgres {

/// An Authentication message; `data` is what follows the Int32: the salt of MD5, the mechanisms of
/// SASL, the server's SASL data.
struct AuthenticationRequest {
  Authentication kind = Authentication::kOk;
  Bytes data;
};
struct BackendKeyData {
  std::uint32_t process_id = 0;
  Bytes key;  ///< 4 to 256 bytes
};
struct ParameterStatus {
  Bytes name;
  Bytes value;
};
struct NegotiateProtocolVersion {
  Version newest;
  Strings unknown_options;
};
struct NotificationResponse {
  std::uint32_t process_id = 0;
  Bytes channel;
  Bytes payload;
};
struct Column {
  Bytes name;
  std::uint32_t table_oid = 0;
  std::int16_t attribute = 0;
  std::uint32_t type_oid = 0;
  std::int16_t type_size = 0;
  std::int32_t type_modifier = -1;
  Format format = Format::kText;
};
struct ColumnItem {
  static Column decode(Cursor& cursor);
};
using Columns = List<ColumnItem>;

/// The fields of ErrorResponse and NoticeResponse that the proxy reads.
struct ErrorFields {
  Bytes severity;  ///< the one that is never translated; the other where a server sends only that
  Bytes sqlstate;
  Bytes message;
  Bytes detail;
  Bytes hint;
  Bytes routine = {};  ///< where it was raised: some drivers recognise errors by it
};

std::optional<AuthenticationRequest> parse_authentication(Bytes body);
/// The mechanism names of AuthenticationSASL's data.
std::optional<Strings> parse_sasl_mechanisms(Bytes data);
std::optional<BackendKeyData> parse_backend_key_data(Bytes body);
std::optional<ParameterStatus> parse_parameter_status(Bytes body);
std::optional<TransactionStatus> parse_ready_for_query(Bytes body);
std::optional<NegotiateProtocolVersion> parse_negotiate_protocol_version(Bytes body);
std::optional<NotificationResponse> parse_notification_response(Bytes body);
/// CommandComplete's tag: "SELECT 5", "INSERT 0 1", "BEGIN" …
std::optional<Bytes> parse_command_complete(Bytes body);
std::optional<Columns> parse_row_description(Bytes body);
std::optional<Oids> parse_parameter_description(Bytes body);
std::optional<Values> parse_data_row(Bytes body);
std::optional<ErrorFields> parse_error_response(Bytes body);

/// One field of an ErrorResponse or NoticeResponse body; nothing if absent or malformed.
std::optional<Bytes> error_field(Bytes body, Field field);

/// The row count at the end of a command tag; nothing for tags without one ("BEGIN").
std::optional<std::uint64_t> tag_rows(Bytes tag);
/// The words in front of the numbers: "INSERT 0 1" -> "INSERT", "CREATE TABLE" -> itself.
Bytes tag_command(Bytes tag);

/// Whether a driver that was told RowDescription body `told` decodes rows of `now` rightly: the
/// same names, types, sizes and modifiers in the same order. Formats are not looked at (Describe of
/// a statement cannot know them), nor tables, which Postgres does not compare either
/// (equalTupleDescs).
bool same_row_shape(Bytes told, Bytes now);

}  // namespace hyperdrive::proxy::wire::postgres
