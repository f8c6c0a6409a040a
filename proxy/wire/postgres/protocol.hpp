// Every constant of the Postgres frontend/backend protocol that the proxy speaks, with the names of
// the protocol's own pages ("Message Formats", "Error and Notice Message Fields"). Nothing else in
// this folder, and nothing outside it, spells a message type as a letter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hyperdrive::proxy::wire::postgres {

/// Raw bytes on the wire. All views of this folder point into the caller's buffer.
using Bytes = std::string_view;

/// First byte of a message from a client.
enum class Frontend : char {
  kBind = 'B',
  kClose = 'C',
  kCopyData = 'd',
  kCopyDone = 'c',
  kCopyFail = 'f',
  kDescribe = 'D',
  kExecute = 'E',
  kFlush = 'H',
  kFunctionCall = 'F',
  kParse = 'P',
  kPassword = 'p',  ///< PasswordMessage, SASLInitialResponse, SASLResponse, GSSResponse
  kQuery = 'Q',
  kSync = 'S',
  kTerminate = 'X',
};

/// First byte of a message from a server.
enum class Backend : char {
  kAuthentication = 'R',
  kBackendKeyData = 'K',
  kBindComplete = '2',
  kCloseComplete = '3',
  kCommandComplete = 'C',
  kCopyBothResponse = 'W',
  kCopyData = 'd',
  kCopyDone = 'c',
  kCopyInResponse = 'G',
  kCopyOutResponse = 'H',
  kDataRow = 'D',
  kEmptyQueryResponse = 'I',
  kErrorResponse = 'E',
  kFunctionCallResponse = 'V',
  kNegotiateProtocolVersion = 'v',
  kNoData = 'n',
  kNoticeResponse = 'N',
  kNotificationResponse = 'A',
  kParameterDescription = 't',
  kParameterStatus = 'S',
  kParseComplete = '1',
  kPortalSuspended = 's',
  kReadyForQuery = 'Z',
  kRowDescription = 'T',
};

/// The Int32 that opens the body of an Authentication message.
enum class Authentication : std::int32_t {
  kOk = 0,
  kKerberosV5 = 2,
  kCleartextPassword = 3,
  kMd5Password = 5,
  kGss = 7,
  kGssContinue = 8,
  kSspi = 9,
  kSasl = 10,
  kSaslContinue = 11,
  kSaslFinal = 12,
};

/// The byte of ReadyForQuery.
enum class TransactionStatus : char { kIdle = 'I', kInTransaction = 'T', kFailed = 'E' };

/// The byte that says what Describe and Close are about.
enum class Target : char { kStatement = 'S', kPortal = 'P' };

enum class Format : std::int16_t { kText = 0, kBinary = 1 };

/// Field types of ErrorResponse and NoticeResponse.
enum class Field : char {
  kSeverityLocalized = 'S',
  kSeverity = 'V',
  kSqlstate = 'C',
  kMessage = 'M',
  kDetail = 'D',
  kHint = 'H',
  kPosition = 'P',
  kInternalPosition = 'p',
  kInternalQuery = 'q',
  kWhere = 'W',
  kSchema = 's',
  kTable = 't',
  kColumn = 'c',
  kDataType = 'd',
  kConstraint = 'n',
  kFile = 'F',
  kLine = 'L',
  kRoutine = 'R',
};

/// A protocol version as it travels: major in the high, minor in the low 16 bits.
struct Version {
  std::uint16_t major = 0;
  std::uint16_t minor = 0;
  std::uint32_t packed() const { return std::uint32_t{major} << 16 | minor; }
  static Version unpack(std::uint32_t value) {
    return {static_cast<std::uint16_t>(value >> 16), static_cast<std::uint16_t>(value)};
  }
  friend auto operator<=>(const Version&, const Version&) = default;
};
inline constexpr Version kVersion30{3, 0};
inline constexpr Version kVersion32{3, 2};

/// Major "version" 1234 marks the requests that may come in place of a StartupMessage.
inline constexpr std::uint16_t kRequestMajor = 1234;
inline constexpr std::uint16_t kCancelRequestMinor = 5678;
inline constexpr std::uint16_t kSslRequestMinor = 5679;
inline constexpr std::uint16_t kGssEncRequestMinor = 5680;

/// The server's one-byte answers to SSLRequest and GSSENCRequest.
inline constexpr char kEncryptionAccepted = 'S';
inline constexpr char kEncryptionRefused = 'N';

/// First byte of a TLS handshake record: a client that starts TLS without asking (PostgreSQL 17).
inline constexpr char kTlsHandshake = 0x16;
/// The ALPN name that direct TLS must offer.
inline constexpr std::string_view kAlpn = "postgresql";

/// Limits. A startup packet behind its length: MAX_STARTUP_PACKET_LENGTH; a message:
/// PQ_LARGE_MESSAGE_LIMIT, 1 GB.
inline constexpr std::size_t kMaxStartupPacket = 10'000;
inline constexpr std::uint32_t kMaxMessage = 0x3fffffff;
/// Cancel keys: 4 bytes up to 3.1, up to 256 from 3.2 on; this proxy's own long ones have 32.
inline constexpr std::size_t kShortCancelKey = 4;
inline constexpr std::size_t kMaxCancelKey = 256;
/// A password or SASL message: PG_MAX_AUTH_TOKEN_LENGTH of the server.
inline constexpr std::uint32_t kMaxAuthMessage = 65'535;

}  // namespace hyperdrive::proxy::wire::postgres
