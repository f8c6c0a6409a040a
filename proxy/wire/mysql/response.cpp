#include "proxy/wire/mysql/response.hpp"

namespace hyperdrive::proxy::wire::mysql {
namespace {

constexpr std::size_t kEofSize = 5;
constexpr std::size_t kSqlstateSize = 5;
constexpr std::uint64_t kFixedFields = 0x0c;

bool has(std::uint64_t capabilities, std::uint64_t flag) { return (capabilities & flag) != 0; }
std::uint8_t first_of(Bytes payload) {
  return payload.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(payload[0]);
}

}  // namespace

std::optional<Ok> parse_ok(Bytes payload, std::uint64_t capabilities) {
  Cursor cursor(payload);
  const std::uint8_t first = cursor.u8();
  if (payload.empty() || (first != reply::kOk && first != reply::kEof)) return std::nullopt;
  Ok ok;
  ok.affected_rows = cursor.lenenc();
  ok.last_insert_id = cursor.lenenc();
  ok.status = cursor.u16();
  ok.warnings = cursor.u16();
  // Servers leave the rest out when all of it is empty. The protocol's page has the info as a
  // string up to the packet's end where there is no session tracking; MySQL and MariaDB write its
  // length in front of it there too, and clients read it so.
  if (cursor.left() != 0) {
    ok.info = cursor.lenenc_string();
    const bool changed = (ok.status & status::kSessionStateChanged) != 0;
    if (changed && has(capabilities, capability::kSessionTrack)) {
      ok.session_state = cursor.lenenc_string();
    }
  }
  if (!cursor.ok()) return std::nullopt;
  return ok;
}

std::string build_ok(const Ok& ok, std::uint64_t capabilities, std::uint8_t first) {
  const bool track = has(capabilities, capability::kSessionTrack) && !ok.session_state.empty();
  std::uint16_t flags = ok.status;
  if (!track) flags = static_cast<std::uint16_t>(flags & ~status::kSessionStateChanged);
  std::string payload;
  PayloadWriter out(payload);
  out.u8(first).lenenc(ok.affected_rows).lenenc(ok.last_insert_id).u16(flags).u16(ok.warnings);
  if (track || !ok.info.empty()) out.lenenc_string(ok.info);
  if (track) out.lenenc_string(ok.session_state);
  return payload;
}

std::optional<Err> parse_err(Bytes payload) {
  Cursor cursor(payload);
  if (cursor.u8() != reply::kErr) return std::nullopt;
  Err err;
  err.code = cursor.u16();
  err.message = cursor.rest();
  if (!cursor.ok()) return std::nullopt;
  if (err.message.starts_with('#') && err.message.size() > kSqlstateSize) {
    err.sqlstate = err.message.substr(1, kSqlstateSize);
    err.message.remove_prefix(1 + kSqlstateSize);
  }
  return err;
}

std::string build_err(const Err& err) {
  std::string payload;
  PayloadWriter out(payload);
  out.u8(reply::kErr).u16(err.code);
  if (!err.sqlstate.empty()) out.bytes("#").bytes(err.sqlstate);
  out.bytes(err.message);
  return payload;
}

std::optional<Eof> parse_eof(Bytes payload) {
  Cursor cursor(payload);
  if (payload.size() != kEofSize || cursor.u8() != reply::kEof) return std::nullopt;
  Eof eof;
  eof.warnings = cursor.u16();
  eof.status = cursor.u16();
  return eof;
}

std::string build_eof(const Eof& eof) {
  const auto low = [](std::uint16_t value) { return static_cast<char>(value & 0xff); };
  const auto high = [](std::uint16_t value) { return static_cast<char>(value >> 8); };
  const char bytes[kEofSize] = {static_cast<char>(reply::kEof), low(eof.warnings),
                                high(eof.warnings), low(eof.status), high(eof.status)};
  return {bytes, kEofSize};
}

bool ends_rows(Bytes payload, std::uint64_t capabilities) {
  if (first_of(payload) != reply::kEof) return false;
  // A row that begins with 0xfe holds a value of 16 MB or more, so its packet is a full one.
  if (has(capabilities, capability::kDeprecateEof)) return payload.size() < kMaxPayload;
  return payload.size() == kEofSize;
}

bool for_each_change(Bytes state, const std::function<void(const SessionChange&)>& visit) {
  Cursor entries(state);
  while (entries.ok() && entries.left() != 0) {
    SessionChange change;
    change.type = static_cast<SessionTrack>(entries.u8());
    Cursor data(entries.lenenc_string());
    if (!entries.ok() || data.left() == 0) return false;
    // One entry may hold several variables.
    do {
      if (change.type == SessionTrack::kSystemVariables) change.name = data.lenenc_string();
      if (change.type == SessionTrack::kGtids) data.u8();  // their encoding
      change.value = data.lenenc_string();
      if (!data.ok()) return false;
      visit(change);
    } while (change.type == SessionTrack::kSystemVariables && data.left() != 0);
  }
  return entries.ok();
}

bool changes_session(Bytes state) {
  bool changes = false;
  const bool sound = for_each_change(state, [&changes](const SessionChange& change) {
    changes = changes || (change.type != SessionTrack::kGtids &&
                          change.type != SessionTrack::kTransactionCharacteristics &&
                          change.type != SessionTrack::kTransactionState);
  });
  return changes || !sound;
}

std::string without_changes(Bytes state, SessionTrack type) {
  std::string kept;
  PayloadWriter out(kept);
  Cursor entries(state);
  while (entries.ok() && entries.left() != 0) {
    const std::uint8_t its_type = entries.u8();
    const Bytes data = entries.lenenc_string();
    if (!entries.ok()) break;
    if (its_type != static_cast<std::uint8_t>(type)) out.u8(its_type).lenenc_string(data);
  }
  return kept;
}

ReplyKind reply_kind(Bytes payload) {
  if (payload.empty()) return ReplyKind::kMalformed;
  switch (first_of(payload)) {
    case reply::kOk:
      return ReplyKind::kOk;
    case reply::kErr:
      return ReplyKind::kErr;
    case reply::kLocalInfile:
      return ReplyKind::kLocalInfile;
    case reply::kEof:
      // Only a column count over 16 million would begin so.
      return payload.size() <= kEofSize ? ReplyKind::kOk : ReplyKind::kMalformed;
    default:
      return ReplyKind::kResultSet;
  }
}

std::optional<ColumnCount> parse_column_count(Bytes payload, std::uint64_t capabilities) {
  Cursor cursor(payload);
  ColumnCount count;
  count.columns = cursor.lenenc();
  if (has(capabilities, capability::kMariadbCacheMetadata))
    count.metadata_follows = cursor.u8() != 0;
  if (!cursor.done() || count.columns == 0) return std::nullopt;
  return count;
}

std::optional<ColumnDefinition> parse_column_definition(Bytes payload, std::uint64_t capabilities) {
  Cursor cursor(payload);
  ColumnDefinition column;
  column.catalog = cursor.lenenc_string();
  column.schema = cursor.lenenc_string();
  column.table = cursor.lenenc_string();
  column.original_table = cursor.lenenc_string();
  column.name = cursor.lenenc_string();
  column.original_name = cursor.lenenc_string();
  if (has(capabilities, capability::kMariadbExtendedMetadata)) {
    column.extended = cursor.lenenc_string();
  }
  if (cursor.lenenc() < kFixedFields) return std::nullopt;
  column.charset = cursor.u16();
  column.length = cursor.u32();
  column.type = cursor.u8();
  column.flags = cursor.u16();
  column.decimals = cursor.u8();
  // Two filler bytes; COM_FIELD_LIST puts a default value behind them.
  cursor.bytes(2);
  if (!cursor.ok()) return std::nullopt;
  return column;
}

std::string build_column_definition(const ColumnDefinition& column, std::uint64_t capabilities) {
  std::string payload;
  PayloadWriter out(payload);
  out.lenenc_string(column.catalog).lenenc_string(column.schema).lenenc_string(column.table);
  out.lenenc_string(column.original_table).lenenc_string(column.name);
  out.lenenc_string(column.original_name);
  if (has(capabilities, capability::kMariadbExtendedMetadata)) out.lenenc_string(column.extended);
  out.lenenc(kFixedFields).u16(column.charset).u32(column.length).u8(column.type);
  out.u16(column.flags).u8(column.decimals).zeros(2);
  return payload;
}

}  // namespace hyperdrive::proxy::wire::mysql
