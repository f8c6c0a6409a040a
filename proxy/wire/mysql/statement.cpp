#include "proxy/wire/mysql/statement.hpp"

#include "proxy/wire/mysql/response.hpp"

namespace hyperdrive::proxy::wire::mysql {
namespace {

constexpr std::size_t kIdAt = 1;
constexpr std::size_t kIdSize = 4;

bool counts_parameters(std::uint8_t flags, std::uint64_t capabilities) {
  return (capabilities & capability::kQueryAttributes) != 0 &&
         (flags & cursor_flag::kParameterCountAvailable) != 0;
}

/// The block of types: two bytes a parameter, with query attributes a name behind each.
Bytes take_types(Cursor& cursor, std::uint64_t parameters, bool named, Bytes payload) {
  const std::size_t start = payload.size() - cursor.left();
  for (std::uint64_t i = 0; i < parameters && cursor.ok(); ++i) {
    cursor.u16();
    if (named) cursor.lenenc_string();
  }
  return cursor.ok() ? payload.substr(start, payload.size() - cursor.left() - start) : Bytes();
}

}  // namespace

std::optional<PrepareOk> parse_prepare_ok(Bytes payload) {
  Cursor cursor(payload);
  if (payload.empty() || cursor.u8() != reply::kOk) return std::nullopt;
  PrepareOk prepared;
  prepared.statement = cursor.u32();
  prepared.columns = cursor.u16();
  prepared.parameters = cursor.u16();
  cursor.u8();
  if (!cursor.ok()) return std::nullopt;
  if (cursor.left() >= 2) prepared.warnings = cursor.u16();
  return prepared;
}

std::string build_prepare_ok(const PrepareOk& prepared) {
  std::string payload;
  PayloadWriter out(payload);
  out.u8(reply::kOk).u32(prepared.statement).u16(prepared.columns).u16(prepared.parameters);
  out.u8(0).u16(prepared.warnings);
  return payload;
}

std::optional<std::uint32_t> statement_id(Bytes payload) {
  if (payload.size() < kIdAt + kIdSize) return std::nullopt;
  Cursor cursor(payload.substr(kIdAt));
  return cursor.u32();
}

void set_statement_id(std::string& payload, std::uint32_t id) {
  for (std::size_t i = 0; i < kIdSize; ++i) {
    payload[kIdAt + i] = static_cast<char>(id >> (8 * i) & 0xff);
  }
}

std::optional<Execute> parse_execute(Bytes payload, std::uint16_t parameters,
                                     std::uint64_t capabilities) {
  Cursor cursor(payload);
  if (cursor.u8() != static_cast<std::uint8_t>(Command::kStmtExecute)) return std::nullopt;
  Execute execute;
  execute.statement = cursor.u32();
  execute.flags = cursor.u8();
  execute.iterations = cursor.u32();
  execute.parameters = parameters;
  const bool counted = counts_parameters(execute.flags, capabilities);
  if (counted) execute.parameters = cursor.lenenc();
  if (execute.parameters > 0) {
    // Bounded before it is used as a size: the bitmap must be there.
    if (execute.parameters > cursor.left() * 8) return std::nullopt;
    execute.null_bitmap = cursor.bytes(static_cast<std::size_t>((execute.parameters + 7) / 8));
    execute.types_bound = cursor.u8() != 0;
    if (execute.types_bound) {
      const bool named = (capabilities & capability::kQueryAttributes) != 0;
      execute.types = take_types(cursor, execute.parameters, named, payload);
    }
  }
  execute.values = cursor.rest();
  if (!cursor.ok()) return std::nullopt;
  return execute;
}

std::string build_execute(const Execute& execute, std::uint32_t statement, Bytes types,
                          std::uint64_t capabilities) {
  const Bytes sent = execute.types_bound ? execute.types : types;
  std::string payload;
  payload.reserve(16 + execute.null_bitmap.size() + sent.size() + execute.values.size());
  PayloadWriter out(payload);
  out.u8(static_cast<std::uint8_t>(Command::kStmtExecute)).u32(statement).u8(execute.flags);
  out.u32(execute.iterations);
  if (counts_parameters(execute.flags, capabilities)) out.lenenc(execute.parameters);
  if (execute.parameters > 0) {
    out.bytes(execute.null_bitmap).u8(sent.empty() ? 0 : 1).bytes(sent);
  }
  out.bytes(execute.values);
  return payload;
}

std::optional<BulkExecute> parse_bulk_execute(Bytes payload, std::uint16_t parameters) {
  Cursor cursor(payload);
  if (cursor.u8() != static_cast<std::uint8_t>(Command::kStmtBulkExecute)) return std::nullopt;
  BulkExecute bulk;
  bulk.statement = cursor.u32();
  bulk.flags = cursor.u16();
  bulk.types_bound = (bulk.flags & kBulkSendsTypes) != 0;
  if (bulk.types_bound) bulk.types = cursor.bytes(std::size_t{2} * parameters);
  if (!cursor.ok()) return std::nullopt;
  return bulk;
}

std::optional<LongData> parse_long_data(Bytes payload) {
  Cursor cursor(payload);
  if (cursor.u8() != static_cast<std::uint8_t>(Command::kStmtSendLongData)) return std::nullopt;
  LongData data;
  data.statement = cursor.u32();
  data.parameter = cursor.u16();
  data.data = cursor.rest();
  if (!cursor.ok()) return std::nullopt;
  return data;
}

}  // namespace hyperdrive::proxy::wire::mysql
