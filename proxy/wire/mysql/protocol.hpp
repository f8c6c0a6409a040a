// Every constant of the MySQL client/server protocol (version 10) that the proxy speaks, with the
// names of the protocol's own pages; MariaDB's extensions where they differ.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hyperdrive::proxy::wire::mysql {

/// Raw bytes on the wire. All views of this folder point into the caller's buffer.
using Bytes = std::string_view;

inline constexpr std::uint8_t kProtocolVersion = 10;

/// Capability flags: 32 bits of MySQL's, and above them MariaDB's extended ones (sent in the four
/// last of the reserved bytes, and only where kLongPassword, alias CLIENT_MYSQL, is not set).
namespace capability {
inline constexpr std::uint64_t kLongPassword = 1u << 0;
inline constexpr std::uint64_t kFoundRows = 1u << 1;
inline constexpr std::uint64_t kLongFlag = 1u << 2;
inline constexpr std::uint64_t kConnectWithDb = 1u << 3;
inline constexpr std::uint64_t kNoSchema = 1u << 4;
inline constexpr std::uint64_t kCompress = 1u << 5;
inline constexpr std::uint64_t kOdbc = 1u << 6;
inline constexpr std::uint64_t kLocalFiles = 1u << 7;
inline constexpr std::uint64_t kIgnoreSpace = 1u << 8;
inline constexpr std::uint64_t kProtocol41 = 1u << 9;
inline constexpr std::uint64_t kInteractive = 1u << 10;
inline constexpr std::uint64_t kSsl = 1u << 11;
inline constexpr std::uint64_t kIgnoreSigpipe = 1u << 12;
inline constexpr std::uint64_t kTransactions = 1u << 13;
inline constexpr std::uint64_t kReserved = 1u << 14;
inline constexpr std::uint64_t kSecureConnection = 1u << 15;
inline constexpr std::uint64_t kMultiStatements = 1u << 16;
inline constexpr std::uint64_t kMultiResults = 1u << 17;
inline constexpr std::uint64_t kPsMultiResults = 1u << 18;
inline constexpr std::uint64_t kPluginAuth = 1u << 19;
inline constexpr std::uint64_t kConnectAttrs = 1u << 20;
inline constexpr std::uint64_t kPluginAuthLenencClientData = 1u << 21;
inline constexpr std::uint64_t kCanHandleExpiredPasswords = 1u << 22;
inline constexpr std::uint64_t kSessionTrack = 1u << 23;
inline constexpr std::uint64_t kDeprecateEof = 1u << 24;
inline constexpr std::uint64_t kOptionalResultsetMetadata = 1u << 25;
inline constexpr std::uint64_t kZstdCompression = 1u << 26;
inline constexpr std::uint64_t kQueryAttributes = 1u << 27;
inline constexpr std::uint64_t kMultiFactorAuthentication = 1u << 28;
inline constexpr std::uint64_t kMariadbProgress = 1ull << 32;
inline constexpr std::uint64_t kMariadbComMulti = 1ull << 33;
inline constexpr std::uint64_t kMariadbStmtBulkOperations = 1ull << 34;
inline constexpr std::uint64_t kMariadbExtendedMetadata = 1ull << 35;
inline constexpr std::uint64_t kMariadbCacheMetadata = 1ull << 36;
inline constexpr std::uint64_t kMariadbBulkUnitResults = 1ull << 37;
}  // namespace capability

/// First byte of a command's payload.
enum class Command : std::uint8_t {
  kQuit = 0x01,
  kInitDb = 0x02,
  kQuery = 0x03,
  kFieldList = 0x04,
  kCreateDb = 0x05,
  kDropDb = 0x06,
  kRefresh = 0x07,
  kShutdown = 0x08,
  kStatistics = 0x09,
  kProcessInfo = 0x0a,
  kProcessKill = 0x0c,
  kDebug = 0x0d,
  kPing = 0x0e,
  kChangeUser = 0x11,
  kBinlogDump = 0x12,
  kTableDump = 0x13,
  kRegisterSlave = 0x15,
  kStmtPrepare = 0x16,
  kStmtExecute = 0x17,
  kStmtSendLongData = 0x18,
  kStmtClose = 0x19,
  kStmtReset = 0x1a,
  kSetOption = 0x1b,
  kStmtFetch = 0x1c,
  kBinlogDumpGtid = 0x1e,
  kResetConnection = 0x1f,
  kStmtBulkExecute = 0xfa,  ///< MariaDB
};

/// First byte of a reply's payload.
namespace reply {
inline constexpr std::uint8_t kOk = 0x00;
inline constexpr std::uint8_t kAuthMoreData = 0x01;
inline constexpr std::uint8_t kLocalInfile = 0xfb;
inline constexpr std::uint8_t kEof = 0xfe;  ///< also AuthSwitchRequest, and OK with kDeprecateEof
inline constexpr std::uint8_t kErr = 0xff;
}  // namespace reply

/// SERVER_STATUS_* of OK and EOF.
namespace status {
inline constexpr std::uint16_t kInTrans = 0x0001;
inline constexpr std::uint16_t kAutocommit = 0x0002;
inline constexpr std::uint16_t kMoreResultsExists = 0x0008;
inline constexpr std::uint16_t kNoGoodIndexUsed = 0x0010;
inline constexpr std::uint16_t kNoIndexUsed = 0x0020;
inline constexpr std::uint16_t kCursorExists = 0x0040;
inline constexpr std::uint16_t kLastRowSent = 0x0080;
inline constexpr std::uint16_t kDbDropped = 0x0100;
inline constexpr std::uint16_t kNoBackslashEscapes = 0x0200;
inline constexpr std::uint16_t kMetadataChanged = 0x0400;
inline constexpr std::uint16_t kQueryWasSlow = 0x0800;
inline constexpr std::uint16_t kPsOutParams = 0x1000;
inline constexpr std::uint16_t kInTransReadonly = 0x2000;
inline constexpr std::uint16_t kSessionStateChanged = 0x4000;
inline constexpr std::uint16_t kAnsiQuotes = 0x8000;  ///< MariaDB's
/// What of sql_mode every status says.
inline constexpr std::uint16_t kModes = kNoBackslashEscapes | kAnsiQuotes;
}  // namespace status

/// Types of the entries in an OK packet's session state.
enum class SessionTrack : std::uint8_t {
  kSystemVariables = 0,
  kSchema = 1,
  kStateChange = 2,
  kGtids = 3,
  kTransactionCharacteristics = 4,
  kTransactionState = 5,
};

/// Flags of COM_STMT_EXECUTE.
namespace cursor_flag {
inline constexpr std::uint8_t kReadOnly = 0x01;
inline constexpr std::uint8_t kForUpdate = 0x02;
inline constexpr std::uint8_t kScrollable = 0x04;
inline constexpr std::uint8_t kParameterCountAvailable = 0x08;
}  // namespace cursor_flag

/// Authentication plugins.
namespace plugin {
inline constexpr Bytes kNativePassword = "mysql_native_password";
inline constexpr Bytes kCachingSha2 = "caching_sha2_password";
inline constexpr Bytes kEd25519 = "client_ed25519";
inline constexpr Bytes kClearPassword = "mysql_clear_password";
inline constexpr Bytes kOldPassword = "mysql_old_password";
}  // namespace plugin

/// caching_sha2_password's one-byte messages.
namespace caching_sha2 {
inline constexpr char kRequestPublicKey = 0x02;
inline constexpr char kFastAuthSuccess = 0x03;
inline constexpr char kPerformFullAuthentication = 0x04;
}  // namespace caching_sha2

/// A packet's payload is at most this long; one of exactly this length goes on in the next packet.
inline constexpr std::size_t kMaxPayload = 0xffffff;
/// A login packet longer than this is refused; MariaDB's and MySQL's connectors send under 1 KB.
inline constexpr std::size_t kMaxLoginPacket = 64 * 1024;
inline constexpr std::size_t kScrambleSize = 20;
/// Column types whose values the proxy must step over in parameters (field type codes).
inline constexpr std::uint8_t kUtf8mb4GeneralCi = 45;

}  // namespace hyperdrive::proxy::wire::mysql
