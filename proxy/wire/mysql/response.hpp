// What servers answer: OK with its session state, ERR, EOF, and the head of a result set.
//
// The bytes of these packets depend on the capabilities that both ends agreed on, and a proxy has
// two such agreements: so packets are parsed by the one and built by the other. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "proxy/wire/mysql/packet.hpp"

namespace hyperdrive::proxy::wire::mysql {

/// OK, also in EOF's clothes (0xfe, with kDeprecateEof behind a result set).
struct Ok {
  std::uint64_t affected_rows = 0;
  std::uint64_t last_insert_id = 0;
  std::uint16_t status = 0;
  std::uint16_t warnings = 0;
  Bytes info;
  Bytes session_state;  ///< the tracker's entries as they travel; see for_each_change
};
std::optional<Ok> parse_ok(Bytes payload, std::uint64_t capabilities);
/// `first`: reply::kOk, or reply::kEof behind a result set. Without kSessionTrack the session state
/// is left out, and its status bit with it.
std::string build_ok(const Ok& ok, std::uint64_t capabilities, std::uint8_t first = reply::kOk);

struct Err {
  std::uint16_t code = 0;
  Bytes sqlstate;  ///< empty before the login's capabilities are known
  Bytes message;
};
std::optional<Err> parse_err(Bytes payload);
std::string build_err(const Err& err);

struct Eof {
  std::uint16_t warnings = 0;
  std::uint16_t status = 0;
};
std::optional<Eof> parse_eof(Bytes payload);
std::string build_eof(const Eof& eof);

/// Where the rows of a result set end: EOF, or OK with 0xfe where EOFs are deprecated.
bool ends_rows(Bytes payload, std::uint64_t capabilities);

/// One entry of an OK's session state.
struct SessionChange {
  SessionTrack type = SessionTrack::kSystemVariables;
  Bytes name;   ///< of kSystemVariables
  Bytes value;  ///< the variable's value, the schema, the transaction's state …
};
/// All changes in an OK's session state, in order; false when it is malformed (what came before the
/// fault has been visited).
bool for_each_change(Bytes state, const std::function<void(const SessionChange&)>& visit);
/// Whether there is anything in it besides how transactions stand and what they are called: MySQL 9
/// tells of each BEGIN and COMMIT, which the status says as well.
bool changes_session(Bytes state);
/// The entries but for those of one type.
std::string without_changes(Bytes state, SessionTrack type);

/// What a command's first reply is.
enum class ReplyKind { kOk, kErr, kLocalInfile, kResultSet, kMalformed };
ReplyKind reply_kind(Bytes payload);

/// The head of a result set.
struct ColumnCount {
  std::uint64_t columns = 0;
  bool metadata_follows = true;  ///< always, but with MariaDB's kMariadbCacheMetadata
};
std::optional<ColumnCount> parse_column_count(Bytes payload, std::uint64_t capabilities);

struct ColumnDefinition {
  Bytes catalog, schema, table, original_table, name, original_name;
  Bytes extended;  ///< MariaDB's kMariadbExtendedMetadata, as it travels
  std::uint16_t charset = 0;
  std::uint32_t length = 0;
  std::uint8_t type = 0;
  std::uint16_t flags = 0;
  std::uint8_t decimals = 0;
};
std::optional<ColumnDefinition> parse_column_definition(Bytes payload, std::uint64_t capabilities);
std::string build_column_definition(const ColumnDefinition& column, std::uint64_t capabilities);

}  // namespace hyperdrive::proxy::wire::mysql
