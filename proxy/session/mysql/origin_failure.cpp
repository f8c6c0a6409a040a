#include <fmt/format.h>

#include "proxy/session/mysql/origin_login.hpp"
#include "proxy/wire/mysql/response.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace code = core::code;
namespace my = wire::mysql;

namespace {

// Server error numbers that a login meets; MySQL's and MariaDB's manuals list them by these names.
enum ServerError : std::uint16_t {
  kConCountError = 1040,
  kDbAccessDenied = 1044,
  kAccessDenied = 1045,
  kBadDb = 1049,
  kServerShutdown = 1053,
  kHostIsBlocked = 1129,
  kHostNotPrivileged = 1130,
  kTooManyUserConnections = 1203,
  kUserLimitReached = 1226,
  kNotSupportedAuthMode = 1251,
  kAccessDeniedNoPassword = 1698,
  kMustChangePassword = 1820,
  kMustChangePasswordLogin = 1862,
  kConnectionKilled = 1927,
  kSecureTransportRequired = 3159,
  kAccountLocked = 3118,
  kMariadbAccountLocked = 4151,
};

struct Meaning {
  int code = code::kOriginOther;
  std::string hint;
  bool transient = false;
};

Meaning meaning_of(const OriginTarget& target, std::uint16_t number) {
  switch (number) {
    case kAccessDenied:
    case kAccessDeniedNoPassword:
      return {code::kBadCredentials,
              fmt::format("Check the user \"{}\", its password, and from which hosts it may "
                          "connect. A user that must use TLS or a client certificate is refused "
                          "with the same words.",
                          target.user)};
    case kHostNotPrivileged:
      return {code::kBadCredentials,
              fmt::format("Let the user \"{}\" connect from this machine's address (its host part "
                          "in mysql.user).",
                          target.user)};
    case kMustChangePassword:
    case kMustChangePasswordLogin:
      return {code::kBadCredentials,
              fmt::format("The password of \"{}\" has expired: set it anew at the origin.",
                          target.user)};
    case kAccountLocked:
    case kMariadbAccountLocked:
      return {code::kBadCredentials,
              fmt::format("Unlock the account: ALTER USER '{}' ACCOUNT UNLOCK.", target.user)};
    case kBadDb:
      return {code::kNoSuchDatabase,
              fmt::format("Create the database \"{}\" at the origin, or name another with "
                          "--database.",
                          target.database)};
    // Also the answer for a database that does not exist, to a user that may not know it.
    case kDbAccessDenied:
      return {code::kNoSuchDatabase,
              fmt::format("Create the database \"{}\", or grant the user \"{}\" privileges on it.",
                          target.database, target.user)};
    case kConCountError:
    case kTooManyUserConnections:
      return {code::kOriginOther,
              "Lower --origin-connection-limit, or raise max_connections (or the user's own limit) "
              "at the origin.",
              true};
    case kUserLimitReached:
      return {code::kOriginOther, "Raise the user's limits at the origin.", true};
    case kHostIsBlocked:
      return {code::kOriginOther, "Run FLUSH HOSTS at the origin.", true};
    case kSecureTransportRequired:
      return {code::kOriginOther,
              fmt::format("The origin takes encrypted connections only: use --sslmode {}.",
                          target.word(core::SslMode::kRequire))};
    case kNotSupportedAuthMode:
      return {code::kOriginOther,
              "Let the user log in by caching_sha2_password, mysql_native_password or ed25519."};
    case kServerShutdown:
    case kConnectionKilled:
      return {code::kOriginOther, "Try again in a moment.", true};
    default:
      return {code::kOriginOther, "Look into the origin's log."};
  }
}

}  // namespace

LoginFailure classify_origin_error(const OriginTarget& target, std::string_view error_payload) {
  const auto error = my::parse_err(error_payload);
  if (!error) {
    return login_failure(
        code::kOriginOther,
        fmt::format("{} answered with an error that cannot be read.", target.place()),
        "Check that a MySQL server answers on that port.");
  }
  Meaning meaning = meaning_of(target, error->code);
  LoginFailure result = login_failure(meaning.code,
                                      fmt::format("The origin {} refused the connection: {} [{}].",
                                                  target.place(), error->message, error->code),
                                      std::move(meaning.hint), meaning.transient);
  result.origin_error = error_payload;
  result.sqlstate = error->sqlstate;
  return result;
}

std::string told_to_clients(const LoginFailure& failure) {
  auto error = my::parse_err(failure.origin_error);
  if (!error) return failure.origin_error;
  const bool is_ours = failure.error.code == code::kBadCredentials;
  const std::string words =
      fmt::format("{} (the origin's answer to the proxy. {}{})", error->message, failure.error.hint,
                  is_ours ? " `hyperdrive update <config>` takes another user or password." : "");
  error->message = words;
  return my::build_err(*error);
}

}  // namespace hyperdrive::proxy::session::mysql
