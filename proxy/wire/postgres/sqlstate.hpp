// The SQLSTATEs that the proxy itself raises or looks for (Postgres, Appendix A).
#pragma once

#include <string_view>

namespace hyperdrive::proxy::wire::postgres::sqlstate {

inline constexpr std::string_view kConnectionFailure = "08006";
inline constexpr std::string_view kProtocolViolation = "08P01";
inline constexpr std::string_view kFeatureNotSupported = "0A000";  ///< also: cached plan changed
inline constexpr std::string_view kInvalidParameterValue = "22023";
inline constexpr std::string_view kActiveSqlTransaction = "25001";
inline constexpr std::string_view kInFailedSqlTransaction = "25P02";
inline constexpr std::string_view kIdleInTransactionTimeout = "25P03";
inline constexpr std::string_view kUndefinedStatement = "26000";
inline constexpr std::string_view kInvalidAuthorization = "28000";
inline constexpr std::string_view kInvalidPassword = "28P01";
inline constexpr std::string_view kUndefinedCursor = "34000";
inline constexpr std::string_view kUndefinedDatabase = "3D000";
inline constexpr std::string_view kSyntaxError = "42601";
inline constexpr std::string_view kUndefinedTable = "42P01";
inline constexpr std::string_view kDuplicateCursor = "42P03";
inline constexpr std::string_view kDuplicateStatement = "42P05";
inline constexpr std::string_view kObjectNotInPrerequisiteState = "55000";
inline constexpr std::string_view kInsufficientPrivilege = "42501";
inline constexpr std::string_view kTooManyConnections = "53300";
inline constexpr std::string_view kProgramLimitExceeded = "54000";
inline constexpr std::string_view kQueryCanceled = "57014";
inline constexpr std::string_view kAdminShutdown = "57P01";
inline constexpr std::string_view kCrashShutdown = "57P02";
inline constexpr std::string_view kCannotConnectNow = "57P03";
inline constexpr std::string_view kDatabaseDropped = "57P04";
inline constexpr std::string_view kSystemError =
    "58000";  ///< what production answers where none fits

}  // namespace hyperdrive::proxy::wire::postgres::sqlstate
