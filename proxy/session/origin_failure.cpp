#include "proxy/session/origin_failure.hpp"

#include <fmt/format.h>

namespace hyperdrive::proxy::session {

namespace code = core::code;
using core::SslMode;

namespace {

bool mentions(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// What became of each address tried; the place itself is named by the sentence around it.
std::string tried(const std::string& place, const std::string& message) {
  const std::string lead = place + ": ";
  const bool same = message.starts_with(lead) && !mentions(message, "; ");
  return same ? message.substr(lead.size()) : message;
}

/// A name may have several addresses: each that was tried is named, the refusal once.
std::string refusal(const std::string& place, const std::string& message) {
  constexpr std::string_view kRefused = ": Connection refused";
  std::string words = tried(place, message);
  if (words == kRefused.substr(2)) return fmt::format("The connection to {} was refused.", place);
  if (!mentions(words, kRefused)) {
    return fmt::format("The connection to {} was refused: {}.", place, words);
  }
  for (auto at = words.find(kRefused); at != std::string::npos; at = words.find(kRefused, at)) {
    words.erase(at, kRefused.size());
  }
  return fmt::format("The connection to {} was refused (tried: {}).", place, words);
}

}  // namespace

LoginFailure login_failure(int code, std::string message, std::string hint, bool transient) {
  LoginFailure failure;
  failure.error = {std::move(message), std::move(hint), code};
  failure.transient = transient;
  return failure;
}

LoginFailure connect_failure(const BaseTarget& target, const net::ConnectError& error) {
  switch (error.kind) {
    case net::ConnectError::Kind::kResolve:
      return login_failure(
          code::kHostUnresolved,
          fmt::format("The host name \"{}\" does not resolve: {}.", target.host, error.message),
          "Check the spelling of the host name, and this machine's DNS.", true);
    case net::ConnectError::Kind::kRefused:
      return login_failure(code::kConnectionRefused, refusal(target.place(), error.message),
                           "Check that the database runs there and listens on that port.", true);
    case net::ConnectError::Kind::kUnreachable:
    case net::ConnectError::Kind::kTimeout:
      break;
  }
  return login_failure(code::kUnreachable,
                       fmt::format("{} cannot be reached: {}.", target.place(),
                                   tried(target.place(), error.message)),
                       "Check host and port, and firewalls between this machine and the origin.",
                       true);
}

LoginFailure broken_failure(const BaseTarget& target, const OriginDialogue& dialogue,
                            const std::string& doing) {
  using Failure = OriginDialogue::Failure;
  if (dialogue.failure() == Failure::kTimeout) {
    return login_failure(
        code::kOriginOther,
        fmt::format("{} accepted the connection, but {} took longer than {} ms.", target.place(),
                    doing, target.connect_timeout.count()),
        fmt::format("Check that a {} server answers on that port.", target.protocol()), true);
  }
  if (dialogue.failure() == Failure::kMalformed) {
    return login_failure(
        code::kOriginOther,
        fmt::format("{} does not speak the {} protocol.", target.place(), target.protocol()),
        "Check the port, and that the scheme fits the database.");
  }
  if (dialogue.failure() == Failure::kTls && mentions(dialogue.failure_words(), "certificate")) {
    return login_failure(
        code::kOriginOther,
        fmt::format("{} ended the TLS connection: {}.", target.place(), dialogue.failure_words()),
        "The origin wants a client certificate that it trusts: see --mtls-certificate-id.");
  }
  return login_failure(code::kOriginOther,
                       fmt::format("{} ended the connection during {}: {}.", target.place(), doing,
                                   dialogue.failure_words()),
                       "Look into the origin's log.", true);
}

LoginFailure no_tls_failure(const BaseTarget& target) {
  return login_failure(
      code::kNoTls,
      fmt::format("{} does not speak TLS, and the config asks for it.", target.place()),
      fmt::format(
          "Switch TLS on at the origin, or use --sslmode {} or {} where the way to it is safe.",
          target.word(SslMode::kPrefer), target.word(SslMode::kDisable)));
}

LoginFailure handshake_failure(const BaseTarget& target, const std::string& words) {
  std::string hint = "Check the origin's TLS settings.";
  if (mentions(words, "certificate verify failed")) {
    hint = mentions(words, "mismatch") ? fmt::format(
                                             "The certificate is for another name: use that name "
                                             "as the host, or --sslmode {}.",
                                             target.word(SslMode::kVerifyCa))
                                       : fmt::format(
                                             "Name the CA that signed the origin's certificate "
                                             "with --ca-certificate-id, or use --sslmode {}.",
                                             target.word(SslMode::kRequire));
  } else if (mentions(words, "certificate required") || mentions(words, "bad certificate")) {
    hint = "The origin wants a client certificate that it trusts: see --mtls-certificate-id.";
  }
  return login_failure(code::kOriginOther,
                       fmt::format("TLS with {} failed: {}.", target.place(), words),
                       std::move(hint));
}

LoginFailure plain_failure(core::Error error) {
  LoginFailure failure;
  failure.error = std::move(error);
  return failure;
}

std::string_view pool_full_hint(core::SessionFeatures features) {
  if (features == core::SessionFeatures::kPin) {
    return "All origin connections are in use, some perhaps by idle sessions that keep theirs "
           "(--session-features pin). End transactions and such sessions sooner, or raise "
           "--origin-connection-limit.";
  }
  return "All origin connections are in use. End transactions sooner, or raise "
         "--origin-connection-limit.";
}

}  // namespace hyperdrive::proxy::session
