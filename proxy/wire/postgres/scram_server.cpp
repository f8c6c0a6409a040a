#include <fmt/format.h>

#include "proxy/wire/postgres/base64.hpp"
#include "proxy/wire/postgres/saslprep.hpp"
#include "proxy/wire/postgres/scram.hpp"
#include "proxy/wire/postgres/scram_text.hpp"
#include "proxy/wire/postgres/sqlstate.hpp"

namespace hyperdrive::proxy::wire::postgres {
namespace {

constexpr std::size_t kSaltSize = 16;

tl::unexpected<ScramFailure> malformed(std::string detail) {
  return tl::unexpected<ScramFailure>(
      {sqlstate::kProtocolViolation, "malformed SCRAM message", std::move(detail)});
}

}  // namespace

ScramVerifier ScramVerifier::derive(const core::Secret& password, int rounds) {
  return derive(password, rounds, random_bytes(kSaltSize));
}

ScramVerifier ScramVerifier::derive(const core::Secret& password, int rounds, std::string salt) {
  const Sha256 salted = pbkdf2_sha256(saslprep(password).reveal(), salt, rounds);
  ScramVerifier verifier;
  verifier.stored_key = sha256(view(hmac_sha256(view(salted), "Client Key")));
  verifier.server_key = hmac_sha256(view(salted), "Server Key");
  verifier.salt = std::move(salt);
  verifier.rounds = rounds;
  return verifier;
}

ScramVerifier ScramVerifier::mock(Bytes user, Bytes secret, int rounds) {
  const Sha256 salt = hmac_sha256(secret, user);
  ScramVerifier verifier;
  verifier.salt = view(salt).substr(0, kSaltSize);
  verifier.rounds = rounds;
  // Keys that nobody can know; `genuine` refuses even the guess of them.
  verifier.stored_key = hmac_sha256(view(salt), secret);
  verifier.server_key = hmac_sha256(view(verifier.stored_key), secret);
  verifier.genuine = false;
  return verifier;
}

ScramServer::ScramServer(const ScramVerifier& verifier, std::string channel_binding)
    : ScramServer(verifier, std::move(channel_binding), scram::make_nonce()) {}

ScramServer::ScramServer(const ScramVerifier& verifier, std::string channel_binding,
                         std::string nonce)
    : verifier_(verifier), channel_binding_(std::move(channel_binding)), nonce_(std::move(nonce)) {}

// The GS2 header's first part must fit the mechanism chosen, and what this server offers: a 'y' to
// a server that does support binding means that someone took PLUS out of the list on the way.
// Returns what follows the flag.
ScramResult<Bytes> ScramServer::check_binding_flag(Bytes mechanism, Bytes message) {
  const bool plus = mechanism == kScramPlus;
  if (!plus && mechanism != kScram) {
    return tl::unexpected<ScramFailure>({sqlstate::kProtocolViolation,
                                         "client selected an invalid SASL authentication mechanism",
                                         {}});
  }
  if (plus && channel_binding_.empty()) {
    return malformed("SCRAM-SHA-256-PLUS needs TLS on this connection.");
  }
  if (message.empty()) return malformed("The message is empty.");
  const char flag = message[0];
  if (plus != (flag == 'p')) {
    return malformed("The channel binding flag does not fit the mechanism.");
  }
  if (flag == 'p') {
    const auto type = scram::take_attribute(message, 'p');
    if (!type || *type != "tls-server-end-point") {
      return tl::unexpected<ScramFailure>(
          {sqlstate::kProtocolViolation, "unsupported SCRAM channel-binding type", {}});
    }
    return message;
  }
  if (flag != 'n' && flag != 'y') return malformed("Unexpected channel binding flag.");
  if (message.size() < 2 || message[1] != ',') return malformed("Comma expected.");
  if (flag == 'y' && !channel_binding_.empty()) {
    return tl::unexpected<ScramFailure>(
        {sqlstate::kInvalidAuthorization, "SCRAM channel binding negotiation error",
         "The client supports SCRAM channel binding but thinks the server does not. However, this "
         "server does support channel binding."});
  }
  return message.substr(2);
}

ScramResult<std::string> ScramServer::first(Bytes mechanism, Bytes message) {
  if (message.size() > scram::kMaxMessage) return malformed("The message is too long.");
  if (message.find('\0') != Bytes::npos) return malformed("The message holds a zero byte.");
  const auto after_flag = check_binding_flag(mechanism, message);
  if (!after_flag) return tl::unexpected(after_flag.error());
  if (after_flag->starts_with("a=")) {
    return tl::unexpected<ScramFailure>(
        {sqlstate::kFeatureNotSupported,
         "client uses authorization identity, but it is not supported",
         {}});
  }
  if (!after_flag->starts_with(",")) return malformed("Comma expected.");
  Bytes bare = after_flag->substr(1);
  gs2_header_ = message.substr(0, message.size() - bare.size());
  client_first_bare_ = bare;

  if (bare.starts_with("m=")) {
    return tl::unexpected<ScramFailure>(
        {sqlstate::kFeatureNotSupported, "client requires an unsupported SCRAM extension", {}});
  }
  // Postgres takes the user from the startup packet and ignores this one; so do we.
  if (!scram::take_attribute(bare, 'n')) return malformed("Attribute \"n\" expected.");
  const auto client_nonce = scram::take_attribute(bare, 'r');
  if (!client_nonce) return malformed("Attribute \"r\" expected.");
  if (!scram::valid_nonce(*client_nonce)) {
    return tl::unexpected<ScramFailure>(
        {sqlstate::kProtocolViolation, "non-printable characters in SCRAM nonce", {}});
  }
  nonce_.insert(0, *client_nonce);
  server_first_ =
      fmt::format("r={},s={},i={}", nonce_, base64_encode(verifier_.salt), verifier_.rounds);
  return server_first_;
}

bool ScramServer::proof_is_right(Bytes proof, Bytes auth_message) const {
  const Sha256 signature = hmac_sha256(view(verifier_.stored_key), auth_message);
  Sha256 client_key;
  for (std::size_t i = 0; i < client_key.size(); ++i) {
    client_key[i] = static_cast<char>(proof[i] ^ signature[i]);
  }
  const Sha256 stored = sha256(view(client_key));
  const bool equal = equal_constant_time(view(stored), view(verifier_.stored_key));
  return equal && verifier_.genuine;
}

ScramResult<std::string> ScramServer::final(Bytes message) {
  if (message.size() > scram::kMaxMessage) return malformed("The message is too long.");
  Bytes rest = message;
  const auto binding = scram::take_attribute(rest, 'c');
  if (!binding) return malformed("Attribute \"c\" expected.");
  if (*binding != scram::encode_binding(gs2_header_, channel_binding_)) {
    if (gs2_header_ == scram::kPlusHeader) {
      return tl::unexpected<ScramFailure>(
          {sqlstate::kInvalidAuthorization, "SCRAM channel binding check failed", {}});
    }
    return tl::unexpected<ScramFailure>(
        {sqlstate::kProtocolViolation,
         "unexpected SCRAM channel-binding attribute in client-final-message",
         {}});
  }
  const auto nonce = scram::take_attribute(rest, 'r');
  if (!nonce || *nonce != nonce_) {
    return tl::unexpected<ScramFailure>(
        {sqlstate::kProtocolViolation, "invalid SCRAM response", "Nonce does not match."});
  }
  // Extensions may stand between; the proof is the last attribute.
  const std::size_t proof_at = message.rfind(",p=");
  if (proof_at == Bytes::npos) return malformed("Attribute \"p\" expected.");
  const auto proof = base64_decode(message.substr(proof_at + 3));
  if (!proof || proof->size() != sizeof(Sha256)) return malformed("Malformed proof.");

  const std::string auth_message =
      fmt::format("{},{},{}", client_first_bare_, server_first_, message.substr(0, proof_at));
  if (!proof_is_right(*proof, auth_message)) {
    return tl::unexpected<ScramFailure>({sqlstate::kInvalidPassword, {}, {}});
  }
  const Sha256 signature = hmac_sha256(view(verifier_.server_key), auth_message);
  return "v=" + base64_encode(view(signature));
}

}  // namespace hyperdrive::proxy::wire::postgres
