#include "proxy/session/postgres/origin_failure.hpp"

#include <fmt/format.h>

#include "proxy/wire/postgres/backend.hpp"
#include "proxy/wire/postgres/sqlstate.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace code = core::code;
namespace pg = wire::postgres;
namespace sqlstate = wire::postgres::sqlstate;

namespace {

std::string place(const OriginTarget& target) {
  const bool bare_v6 = target.host.find(':') != std::string::npos && target.host.front() != '[';
  return bare_v6 ? fmt::format("[{}]:{}", target.host, target.port)
                 : fmt::format("{}:{}", target.host, target.port);
}

LoginFailure failure(int code, std::string message, std::string hint, bool transient = false) {
  LoginFailure failure;
  failure.error = {std::move(message), std::move(hint), code};
  failure.transient = transient;
  return failure;
}

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
  if (is_transient(state)) return {code::kOriginOther, "Try again in a moment."};
  return {code::kOriginOther, std::string(fields.hint)};
}

}  // namespace

LoginFailure connect_failure(const OriginTarget& target, const net::ConnectError& error) {
  switch (error.kind) {
    case net::ConnectError::Kind::kResolve:
      return failure(
          code::kHostUnresolved,
          fmt::format("The host name \"{}\" does not resolve: {}.", target.host, error.message),
          "Check the spelling of the host name, and this machine's DNS.", true);
    case net::ConnectError::Kind::kRefused:
      return failure(
          code::kConnectionRefused,
          fmt::format("The connection to {} was refused: {}.", place(target), error.message),
          "Check that the database runs there and listens on that port.", true);
    case net::ConnectError::Kind::kUnreachable:
    case net::ConnectError::Kind::kTimeout:
      break;
  }
  return failure(code::kUnreachable,
                 fmt::format("{} cannot be reached: {}.", place(target), error.message),
                 "Check host and port, and firewalls between this machine and the origin.", true);
}

LoginFailure broken_failure(const OriginTarget& target, const Dialogue& dialogue,
                            const std::string& doing) {
  using Failure = Dialogue::Failure;
  if (dialogue.failure() == Failure::kTimeout) {
    return failure(code::kOriginOther,
                   fmt::format("{} accepted the connection, but {} took longer than {} ms.",
                               place(target), doing, target.connect_timeout.count()),
                   "Check that a Postgres server answers on that port.", true);
  }
  if (dialogue.failure() == Failure::kMalformed) {
    return failure(code::kOriginOther,
                   fmt::format("{} does not speak the Postgres protocol.", place(target)),
                   "Check the port, and that the scheme fits the database.");
  }
  if (dialogue.failure() == Failure::kTls && mentions(dialogue.failure_words(), "certificate")) {
    return failure(
        code::kOriginOther,
        fmt::format("{} ended the TLS connection: {}.", place(target), dialogue.failure_words()),
        "The origin wants a client certificate that it trusts: see --mtls-certificate-id.");
  }
  return failure(code::kOriginOther,
                 fmt::format("{} ended the connection during {}: {}.", place(target), doing,
                             dialogue.failure_words()),
                 "Look into the origin's log.", true);
}

LoginFailure no_tls_failure(const OriginTarget& target) {
  return failure(code::kNoTls,
                 fmt::format("{} does not speak TLS, and the config asks for it.", place(target)),
                 "Switch ssl on at the origin, or use --sslmode prefer or disable where the way to "
                 "it is safe.");
}

LoginFailure handshake_failure(const OriginTarget& target, const std::string& words) {
  std::string hint = "Check the origin's TLS settings.";
  if (mentions(words, "certificate verify failed")) {
    hint =
        mentions(words, "mismatch")
            ? "The certificate is for another name: use that name as the host, or --sslmode "
              "verify-ca."
            : "Name the CA that signed the origin's certificate with --ca-certificate-id, or use "
              "--sslmode require.";
  } else if (mentions(words, "certificate required") || mentions(words, "bad certificate")) {
    hint = "The origin wants a client certificate that it trusts: see --mtls-certificate-id.";
  }
  return failure(code::kOriginOther, fmt::format("TLS with {} failed: {}.", place(target), words),
                 std::move(hint));
}

LoginFailure plain_failure(core::Error error) {
  LoginFailure failure;
  failure.error = std::move(error);
  return failure;
}

LoginFailure classify_origin_error(const OriginTarget& target, std::string_view error_body) {
  const auto fields = pg::parse_error_response(error_body);
  if (!fields) {
    return failure(code::kOriginOther,
                   fmt::format("{} answered with an error that cannot be read.", place(target)),
                   "Check that a Postgres server answers on that port.");
  }
  const Meaning meaning = meaning_of(target, *fields);
  std::string words(fields->message);
  if (!fields->detail.empty()) words.append(" (").append(fields->detail).append(")");
  LoginFailure result = failure(meaning.code,
                                fmt::format("The origin {} refused the connection: {} [{}].",
                                            place(target), words, fields->sqlstate),
                                meaning.hint, is_transient(fields->sqlstate));
  result.origin_error = error_body;
  result.sqlstate = fields->sqlstate;
  return result;
}

}  // namespace hyperdrive::proxy::session::postgres
