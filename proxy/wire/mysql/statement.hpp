// Prepared statements: the packets whose statement ids and parameter types a proxy must rewrite.
//
// A client sends its parameters' types with the first execution and may leave them out afterwards;
// on another origin connection that would decode garbage. So the types of the last execution are
// remembered per statement and put in again. Pure.
#pragma once

#include <optional>
#include <string>

#include "proxy/wire/mysql/packet.hpp"

namespace hyperdrive::proxy::wire::mysql {

/// The first packet of COM_STMT_PREPARE's answer.
struct PrepareOk {
  std::uint32_t statement = 0;
  std::uint16_t columns = 0;
  std::uint16_t parameters = 0;
  std::uint16_t warnings = 0;
};
std::optional<PrepareOk> parse_prepare_ok(Bytes payload);
std::string build_prepare_ok(const PrepareOk& prepared);

/// MariaDB: the statement prepared last, also in the same write (-1).
inline constexpr std::uint32_t kLastPrepared = 0xffffffff;

/// The statement id behind the command byte of EXECUTE, SEND_LONG_DATA, CLOSE, RESET, FETCH and
/// BULK_EXECUTE; nothing if the payload is too short.
std::optional<std::uint32_t> statement_id(Bytes payload);
/// Puts another id in its place; the payload must have one.
void set_statement_id(std::string& payload, std::uint32_t id);

/// COM_STMT_EXECUTE up to its values.
struct Execute {
  std::uint32_t statement = 0;
  std::uint8_t flags = 0;  ///< cursor_flag
  std::uint32_t iterations = 1;
  std::uint64_t parameters = 0;
  Bytes null_bitmap;
  bool types_bound = false;
  Bytes types;   ///< two bytes each (with kQueryAttributes: and a name); if types_bound
  Bytes values;  ///< the rest, as it travels
};
/// `parameters`: how many the statement has. The client may send more (kQueryAttributes).
std::optional<Execute> parse_execute(Bytes payload, std::uint16_t parameters,
                                     std::uint64_t capabilities);
/// With another id, and with `types` where the client sent none (`types` empty: none are added).
std::string build_execute(const Execute& execute, std::uint32_t statement, Bytes types,
                          std::uint64_t capabilities);

/// MariaDB's COM_STMT_BULK_EXECUTE up to its rows.
struct BulkExecute {
  std::uint32_t statement = 0;
  std::uint16_t flags = 0;
  bool types_bound = false;
  Bytes types;  ///< two bytes each; if types_bound
};
inline constexpr std::uint16_t kBulkSendsTypes = 128;
std::optional<BulkExecute> parse_bulk_execute(Bytes payload, std::uint16_t parameters);

/// COM_STMT_SEND_LONG_DATA.
struct LongData {
  std::uint32_t statement = 0;
  std::uint16_t parameter = 0;
  Bytes data;
};
std::optional<LongData> parse_long_data(Bytes payload);

}  // namespace hyperdrive::proxy::wire::mysql
