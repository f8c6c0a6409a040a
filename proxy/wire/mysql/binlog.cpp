#include "proxy/wire/mysql/binlog.hpp"

#include <algorithm>

#include "proxy/wire/mysql/cursor.hpp"

namespace hyperdrive::proxy::wire::mysql {

namespace {

using Kind = BinlogEvent::Kind;
using Type = BinlogEventType;

constexpr std::size_t kChecksumSize = 4;
constexpr std::size_t kServerVersionSize = 50;
/// Table maps of one stream; a server hands out new numbers as tables are opened.
constexpr std::size_t kMostTables = 4096;

/// Codes of a query event's status variables, and the sizes of those before sql_mode.
constexpr std::uint8_t kFlags2 = 0;
constexpr std::uint8_t kSqlMode = 1;

std::string uuid_text(Bytes raw) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    const auto byte = static_cast<unsigned char>(raw[i]);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

bool is_rows(Type type) {
  const auto in = [type](Type first, Type last) { return type >= first && type <= last; };
  return in(Type::kWriteRowsV1, Type::kDeleteRowsV1) || in(Type::kWriteRows, Type::kDeleteRows) ||
         type == Type::kPartialUpdateRows ||
         in(Type::kMariadbWriteRowsCompressedV1, Type::kMariadbDeleteRowsCompressed);
}

/// What says nothing about tables or ends.
bool says_nothing(Type type) {
  constexpr std::array kSilent = {Type::kStop,
                                  Type::kIntvar,
                                  Type::kRand,
                                  Type::kUserVar,
                                  Type::kHeartbeat,
                                  Type::kHeartbeatV2,
                                  Type::kIgnorable,
                                  Type::kRowsQuery,
                                  Type::kPreviousGtids,
                                  Type::kMariadbGtidList,
                                  Type::kMariadbAnnotateRows,
                                  Type::kMariadbStartEncryption};
  return std::find(kSilent.begin(), kSilent.end(), type) != kSilent.end();
}

BinlogEvent as(BinlogEvent event, Kind kind) {
  event.kind = kind;
  return event;
}

}  // namespace

std::optional<std::uint64_t> binlog_file_number(Bytes name) {
  const std::size_t point = name.rfind('.');
  if (point == Bytes::npos || point + 1 == name.size()) return std::nullopt;
  std::uint64_t number = 0;
  for (const char c : name.substr(point + 1)) {
    if (c < '0' || c > '9' || number > (1ull << 56)) return std::nullopt;
    number = number * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return number;
}

std::optional<BinlogHeader> parse_binlog_header(Bytes event) {
  Cursor cursor(event);
  cursor.u32();  // when
  BinlogHeader header;
  header.type = static_cast<Type>(cursor.u8());
  cursor.u32();  // the server's id
  header.size = cursor.u32();
  header.end = cursor.u32();
  header.flags = cursor.u16();
  if (!cursor.ok() || header.size < kBinlogHeaderSize) return std::nullopt;
  return header;
}

BinlogEvent BinlogDecoder::decode(Bytes bytes) {
  BinlogEvent event;
  const auto header = parse_binlog_header(bytes);
  if (!header || bytes.size() > header->size) return as(std::move(event), Kind::kBroken);
  event.header = *header;
  const Type type = header->type;
  const bool whole = bytes.size() == header->size;
  Bytes body = bytes.substr(kBinlogHeaderSize);
  if (type == Type::kFormatDescription) {
    return whole ? format(std::move(event), body) : as(std::move(event), Kind::kBroken);
  }
  if (whole && has_checksums_) {
    if (body.size() < kChecksumSize) return as(std::move(event), Kind::kBroken);
    body.remove_suffix(kChecksumSize);
  }
  if (says_nothing(type)) return event;
  if (is_rows(type)) return rows(std::move(event), body);
  switch (type) {
    case Type::kRotate:
      return rotate(std::move(event), body);
    case Type::kTableMap:
      return table_map(std::move(event), body);
    case Type::kQuery:
      return query(std::move(event), body, whole);
    case Type::kXid:
      return as(std::move(event), Kind::kCommit);
    case Type::kXaPrepare:
      // One phase: it is committed right here.
      return as(std::move(event), Cursor(body).u8() != 0 ? Kind::kLooseCommit : Kind::kXaPrepare);
    case Type::kGtid:
      return gtid(std::move(event), body);
    case Type::kAnonymousGtid:
    case Type::kGtidTagged:
      return as(std::move(event), Kind::kUnnamed);
    case Type::kTransactionPayload:
      return as(std::move(event), Kind::kPayload);
    case Type::kMariadbGtid:
      return mariadb_gtid(std::move(event), body);
    case Type::kMariadbCheckpoint: {
      Cursor cursor(body);
      const Bytes name = cursor.bytes(cursor.u32());
      const auto number = binlog_file_number(name);
      if (!cursor.ok() || !number) return as(std::move(event), Kind::kBroken);
      event.file = *number;
      return as(std::move(event), Kind::kCheckpoint);
    }
    default:
      return as(std::move(event), header->is_ignorable() ? Kind::kNothing : Kind::kAnything);
  }
}

BinlogEvent BinlogDecoder::rotate(BinlogEvent event, Bytes body) const {
  Cursor cursor(body);
  event.offset = cursor.fixed(8);
  const auto number = binlog_file_number(cursor.rest());
  if (!cursor.ok() || !number) return as(std::move(event), Kind::kBroken);
  event.file = *number;
  return as(std::move(event), Kind::kFile);
}

BinlogEvent BinlogDecoder::format(BinlogEvent event, Bytes body) {
  Cursor cursor(body);
  const std::uint16_t version = cursor.u16();
  cursor.bytes(kServerVersionSize);
  cursor.u32();
  const std::uint8_t header_size = cursor.u8();
  Bytes lengths = cursor.rest();
  // Behind the lengths: the checksum's algorithm, and always a checksum of the event itself.
  if (!cursor.ok() || version != 4 || header_size != kBinlogHeaderSize ||
      lengths.size() < 1 + kChecksumSize) {
    return as(std::move(event), Kind::kBroken);
  }
  lengths.remove_suffix(kChecksumSize);
  has_checksums_ = lengths.back() == 1;
  if (lengths.back() > 1) return as(std::move(event), Kind::kBroken);
  lengths.remove_suffix(1);
  post_header_.fill(0);
  for (std::size_t i = 0; i < lengths.size() && i + 1 < post_header_.size(); ++i) {
    post_header_[i + 1] = static_cast<std::uint8_t>(lengths[i]);
  }
  tables_.clear();
  return event;
}

std::uint64_t BinlogDecoder::table_id(Bytes& body, Type type) const {
  const std::size_t size = post_header_[static_cast<std::uint8_t>(type)] == 6 ? 4 : 6;
  Cursor cursor(body);
  const std::uint64_t id = cursor.fixed(size);
  body = cursor.ok() ? body.substr(size) : Bytes();
  return id;
}

BinlogEvent BinlogDecoder::table_map(BinlogEvent event, Bytes body) {
  const std::uint64_t id = table_id(body, Type::kTableMap);
  Cursor cursor(body);
  cursor.u16();  // flags
  Table table;
  table.database = cursor.bytes(cursor.u8());
  cursor.u8();
  table.name = cursor.bytes(cursor.u8());
  if (tables_.size() >= kMostTables) tables_.clear();
  // A map that cannot be read leaves its rows without a table: they are then anything's.
  if (cursor.ok()) {
    tables_[id] = std::move(table);
  } else {
    tables_.erase(id);
  }
  return event;
}

BinlogEvent BinlogDecoder::rows(BinlogEvent event, Bytes body) {
  // Rows of no table at all: they only end a statement.
  constexpr std::uint64_t kDummy = 0x00ffffff;
  const std::uint64_t id = table_id(body, event.header.type);
  if (id == kDummy && !tables_.contains(id)) return event;
  const auto at = tables_.find(id);
  if (at == tables_.end()) return as(std::move(event), Kind::kAnything);
  event.database = at->second.database;
  event.table = at->second.name;
  return as(std::move(event), Kind::kRows);
}

BinlogEvent BinlogDecoder::query(BinlogEvent event, Bytes body, bool whole) const {
  Cursor cursor(body);
  cursor.u32();  // thread
  cursor.u32();  // seconds
  const std::uint8_t database = cursor.u8();
  cursor.u16();  // error
  Cursor variables(cursor.bytes(cursor.u16()));
  event.database = cursor.bytes(database);
  cursor.u8();
  event.text = cursor.rest();
  if (!cursor.ok() || !whole) {
    event.text = {};
    return as(std::move(event), Kind::kAnything);
  }
  // The mode comes first or second.
  std::uint8_t code = variables.u8();
  if (code == kFlags2) {
    variables.u32();
    code = variables.u8();
  }
  const std::uint64_t mode = variables.fixed(8);
  if (code == kSqlMode && variables.ok()) event.sql_mode = mode;
  return as(std::move(event), Kind::kQuery);
}

BinlogEvent BinlogDecoder::gtid(BinlogEvent event, Bytes body) const {
  Cursor cursor(body);
  cursor.u8();  // flags
  const Bytes source = cursor.bytes(16);
  const std::uint64_t number = cursor.fixed(8);
  if (!cursor.ok()) return as(std::move(event), Kind::kBroken);
  event.gtid = uuid_text(source) + ':' + std::to_string(number);
  return as(std::move(event), Kind::kBegin);
}

BinlogEvent BinlogDecoder::mariadb_gtid(BinlogEvent event, Bytes body) const {
  constexpr std::uint8_t kStandalone = 1;
  Cursor cursor(body);
  cursor.fixed(8);  // number
  cursor.u32();     // domain
  const std::uint8_t flags = cursor.u8();
  if (!cursor.ok()) return as(std::move(event), Kind::kBroken);
  return as(std::move(event), (flags & kStandalone) != 0 ? Kind::kBeginAlone : Kind::kBegin);
}

}  // namespace hyperdrive::proxy::wire::mysql
