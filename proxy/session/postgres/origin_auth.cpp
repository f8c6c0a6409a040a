#include "proxy/session/postgres/origin_auth.hpp"

#include <fmt/format.h>

#include "proxy/wire/postgres/build.hpp"
#include "proxy/wire/postgres/hash.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using core::code::kOriginOther;

namespace {

tl::unexpected<core::Error> refuse(std::string message, std::string hint = {}) {
  return core::fail(std::move(message), std::move(hint), kOriginOther);
}

}  // namespace

OriginAuthentication::OriginAuthentication(const OriginTarget& target, std::string channel_binding,
                                           bool tls)
    : target_(target), channel_binding_(std::move(channel_binding)), tls_(tls) {}

tl::expected<std::string, core::Error> OriginAuthentication::answer(
    const pg::AuthenticationRequest& request) {
  std::string out;
  switch (request.kind) {
    case pg::Authentication::kOk:
      if (scram_ && !scram_verified_) {
        return refuse("The origin accepted the login without proving that it knows the password.",
                      "It may not be the server you mean: check host and port.");
      }
      done_ = true;
      return out;
    case pg::Authentication::kCleartextPassword:
      if (!tls_) {
        return refuse(
            "The origin asks for the password in the clear, and the connection is not "
            "encrypted: it was not sent.",
            "Use --sslmode require, or let the origin use scram-sha-256.");
      }
      method_ = "password";
      pg::append_password(out, target_.password.reveal());
      return out;
    case pg::Authentication::kMd5Password: {
      method_ = "md5";
      const std::string hashed = pg::md5_password(target_.password, target_.user, request.data);
      if (hashed.empty()) {
        return refuse("The origin asks for an MD5 password, which this machine's OpenSSL refuses.",
                      "Set password_encryption = 'scram-sha-256' at the origin and the password "
                      "anew.");
      }
      pg::append_password(out, hashed);
      return out;
    }
    case pg::Authentication::kSasl:
      return start_sasl(request.data);
    case pg::Authentication::kSaslContinue: {
      if (!scram_) break;
      const auto message = scram_->final(request.data);
      if (!message) return scram_failed(message.error());
      pg::append_sasl_response(out, *message);
      return out;
    }
    case pg::Authentication::kSaslFinal:
      if (!scram_) break;
      if (const auto verified = scram_->verify(request.data); !verified) {
        return scram_failed(verified.error());
      }
      scram_verified_ = true;
      return out;
    default:
      return refuse(fmt::format("The origin asks for a kind of login that is not supported (number "
                                "{}: Kerberos, GSSAPI or SSPI).",
                                static_cast<int>(request.kind)),
                    "Let pg_hba.conf ask this user for scram-sha-256.");
  }
  return refuse("The origin sent a login message out of turn.");
}

tl::expected<std::string, core::Error> OriginAuthentication::start_sasl(
    std::string_view mechanisms) {
  const auto names = pg::parse_sasl_mechanisms(mechanisms);
  bool plain = false, plus = false;
  if (names) {
    for (const auto name : *names) {
      plain = plain || name == pg::kScram;
      plus = plus || name == pg::kScramPlus;
    }
  }
  if (scram_ || (!plain && !(plus && !channel_binding_.empty()))) {
    return refuse("The origin offers no SASL mechanism that is supported here.",
                  "Let pg_hba.conf ask this user for scram-sha-256.");
  }
  scram_.emplace(target_.password, channel_binding_, plus, *target_.scram_keys);
  method_ = scram_->mechanism();
  std::string out;
  pg::append_sasl_initial_response(out, scram_->mechanism(), scram_->first());
  return out;
}

tl::expected<std::string, core::Error> OriginAuthentication::scram_failed(
    const pg::ScramFailure& failure) {
  return refuse("The login by SCRAM failed: " + failure.message + ".");
}

}  // namespace hyperdrive::proxy::session::postgres
