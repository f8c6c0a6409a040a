#include "proxy/session/postgres/origin_login.hpp"

#include <fmt/format.h>

#include "proxy/wire/postgres/backend.hpp"
#include "proxy/wire/postgres/sqlstate.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace code = core::code;
namespace pg = wire::postgres;
namespace sqlstate = wire::postgres::sqlstate;

namespace {

bool mentions(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool is_transient(std::string_view state) {
  return state == sqlstate::kCannotConnectNow || state == sqlstate::kAdminShutdown ||
         state == sqlstate::kCrashShutdown;
}

struct Meaning {
  int code;
  std::string hint;
};

Meaning meaning_of(const OriginTarget& target, const pg::ErrorFields& fields) {
  const std::string_view state = fields.sqlstate;
  if (state == sqlstate::kInvalidPassword) {
    return {code::kBadCredentials,
            fmt::format("Check the user \"{}\" and its password.", target.user)};
  }
  if (state == sqlstate::kInvalidAuthorization) {
    if (mentions(fields.message, "certificate")) {
      return {code::kOriginOther,
              "The origin wants a client certificate: upload one with `hyperdrive cert upload "
              "mtls-certificate` and name it with --mtls-certificate-id."};
    }
    if (mentions(fields.message, "pg_hba.conf")) {
      return {code::kBadCredentials,
              "The origin's pg_hba.conf has no rule for this user, database, address and "
              "encryption: add one, or try another --sslmode."};
    }
    return {code::kBadCredentials, fmt::format("Check the user \"{}\".", target.user)};
  }
  if (state == sqlstate::kUndefinedDatabase) {
    return {
        code::kNoSuchDatabase,
        fmt::format("Create the database \"{}\" at the origin, or name another with --database.",
                    target.database)};
  }
  if (state == sqlstate::kTooManyConnections) {
    return {code::kOriginOther,
            "Lower --origin-connection-limit, or raise max_connections at the origin."};
  }
  if (mentions(fields.message, "walsender") || mentions(fields.message, "WAL sender")) {
    return {code::kOriginOther,
            fmt::format("At the origin: ALTER ROLE \"{}\" REPLICATION (Amazon RDS: GRANT "
                        "rds_replication TO it); or use --invalidation writes.",
                        target.user)};
  }
  if (is_transient(state)) return {code::kOriginOther, "Try again in a moment."};
  return {code::kOriginOther, std::string(fields.hint)};
}

}  // namespace

LoginFailure classify_origin_error(const OriginTarget& target, std::string_view error_body) {
  const auto fields = pg::parse_error_response(error_body);
  if (!fields) {
    return login_failure(
        code::kOriginOther,
        fmt::format("{} answered with an error that cannot be read.", target.place()),
        "Check that a Postgres server answers on that port.");
  }
  const Meaning meaning = meaning_of(target, *fields);
  std::string words(fields->message);
  if (!fields->detail.empty()) words.append(" (").append(fields->detail).append(")");
  LoginFailure result = login_failure(meaning.code,
                                      fmt::format("The origin {} refused the connection: {} [{}].",
                                                  target.place(), words, fields->sqlstate),
                                      meaning.hint, is_transient(fields->sqlstate));
  result.origin_error = error_body;
  result.sqlstate = fields->sqlstate;
  return result;
}

}  // namespace hyperdrive::proxy::session::postgres
