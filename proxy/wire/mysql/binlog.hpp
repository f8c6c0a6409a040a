// The binary log as a replica receives it, as far as it tells which tables were written, when a
// transaction ends, and where in the log that is. Rows themselves are never looked at.
//
// Facts: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication.html,
// https://mariadb.com/kb/en/replication-protocol/, and bytes recorded from MariaDB 10.11.
//
// An event is 19 bytes of header, a body, and four bytes of checksum where the format description
// says so. What is not understood is said to have changed anything; nothing is guessed. Pure.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <unordered_map>

#include "proxy/wire/mysql/packet.hpp"

namespace hyperdrive::proxy::wire::mysql {

enum class BinlogEventType : std::uint8_t {
  kQuery = 2,
  kStop = 3,
  kRotate = 4,
  kIntvar = 5,
  kRand = 13,
  kUserVar = 14,
  kFormatDescription = 15,
  kXid = 16,
  kTableMap = 19,
  kWriteRowsV1 = 23,
  kUpdateRowsV1 = 24,
  kDeleteRowsV1 = 25,
  kHeartbeat = 27,
  kIgnorable = 28,
  kRowsQuery = 29,
  kWriteRows = 30,
  kUpdateRows = 31,
  kDeleteRows = 32,
  kGtid = 33,
  kAnonymousGtid = 34,
  kPreviousGtids = 35,
  kXaPrepare = 38,
  kPartialUpdateRows = 39,
  kTransactionPayload = 40,
  kHeartbeatV2 = 41,
  kGtidTagged = 42,
  kMariadbAnnotateRows = 160,
  kMariadbCheckpoint = 161,
  kMariadbGtid = 162,
  kMariadbGtidList = 163,
  kMariadbStartEncryption = 164,
  kMariadbQueryCompressed = 165,
  kMariadbWriteRowsCompressedV1 = 166,
  kMariadbDeleteRowsCompressed = 171,
};

/// Where events begin and end. Files of one log differ in the number behind the last point.
struct BinlogPosition {
  std::uint64_t file = 0;
  std::uint64_t offset = 0;
  friend auto operator<=>(const BinlogPosition&, const BinlogPosition&) = default;
};
/// "binlog.000012" -> 12; nothing where no number follows the last point.
std::optional<std::uint64_t> binlog_file_number(Bytes name);

struct BinlogHeader {
  BinlogEventType type{};
  std::uint32_t size = 0;  ///< of all of it
  std::uint32_t end = 0;   ///< low 32 bits of the position behind it; 0: made for the replica only
  std::uint16_t flags = 0;

  bool is_artificial() const { return (flags & 0x20) != 0; }
  bool is_ignorable() const { return (flags & 0x80) != 0; }
};
inline constexpr std::size_t kBinlogHeaderSize = 19;
std::optional<BinlogHeader> parse_binlog_header(Bytes event);

/// sql_mode bits that change how a logged text is read.
namespace logged_mode {
inline constexpr std::uint64_t kAnsiQuotes = 1u << 2;
inline constexpr std::uint64_t kOracle = 1u << 9;
inline constexpr std::uint64_t kNoBackslashEscapes = 1u << 20;
}  // namespace logged_mode

/// What one event says. Views point into the event, or into the decoder until its next event.
struct BinlogEvent {
  enum class Kind {
    kNothing,
    kFile,         ///< from here on events are of file `file`, from `offset` on
    kBegin,        ///< a group of events; `gtid` (MySQL) names it
    kBeginAlone,   ///< likewise, of one statement that ends it
    kRows,         ///< rows of database.table
    kQuery,        ///< a statement's text
    kCommit,       ///< of a transaction that the engines commit together with the log
    kLooseCommit,  ///< MariaDB: of one whose engines commit by themselves, likewise XA's one phase
    kXaPrepare,    ///< ends a group whose rows are not visible before its XA COMMIT
    kCheckpoint,   ///< MariaDB: all commits of files before `file` are done in the engines
    kPayload,      ///< MySQL: compressed rows and their commit
    kAnything,     ///< not understood: anything may have changed
    kUnnamed,      ///< MySQL: a group with a name that is not understood, or none
    kBroken,       ///< not an event
  };
  Kind kind = Kind::kNothing;
  BinlogHeader header;
  Bytes database, table;
  Bytes text;
  std::optional<std::uint64_t> sql_mode;  ///< of kQuery; none: not told
  std::string gtid;                       ///< "3e11fa47-71ca-11e1-9e33-c80aa9429562:23"
  std::uint64_t file = 0, offset = 0;
};

/// Reads the events of one stream, in order. It keeps what they refer to: the format, table maps.
class BinlogDecoder {
 public:
  /// `event` may be cut off behind its beginning (`whole` bytes are there or the header's size is
  /// more than it has): then texts are kAnything, and rows are rows all the same.
  BinlogEvent decode(Bytes event);

 private:
  BinlogEvent rotate(BinlogEvent event, Bytes body) const;
  BinlogEvent format(BinlogEvent event, Bytes body);
  BinlogEvent table_map(BinlogEvent event, Bytes body);
  BinlogEvent rows(BinlogEvent event, Bytes body);
  BinlogEvent query(BinlogEvent event, Bytes body, bool whole) const;
  BinlogEvent gtid(BinlogEvent event, Bytes body) const;
  BinlogEvent mariadb_gtid(BinlogEvent event, Bytes body) const;
  std::uint64_t table_id(Bytes& body, BinlogEventType type) const;

  struct Table {
    std::string database, name;
  };
  bool has_checksums_ = false;
  std::array<std::uint8_t, 256> post_header_{};  // by type; 0: not told
  std::unordered_map<std::uint64_t, Table> tables_;
};

}  // namespace hyperdrive::proxy::wire::mysql
