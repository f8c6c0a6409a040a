#include <openssl/crypto.h>

#include <charconv>

#include "proxy/wire/postgres/base64.hpp"
#include "proxy/wire/postgres/saslprep.hpp"
#include "proxy/wire/postgres/scram.hpp"
#include "proxy/wire/postgres/scram_text.hpp"
#include "proxy/wire/postgres/sqlstate.hpp"

namespace hyperdrive::proxy::wire::postgres {
namespace {

tl::unexpected<ScramFailure> refuse(std::string message) {
  return tl::unexpected<ScramFailure>({sqlstate::kProtocolViolation, std::move(message), {}});
}

struct ServerFirst {
  Bytes nonce;
  std::string salt;
  int rounds = 0;
};

ScramResult<ServerFirst> parse_server_first(Bytes message, Bytes client_nonce) {
  if (message.size() > scram::kMaxMessage) return refuse("the server's SCRAM message is too long");
  ServerFirst first;
  const auto nonce = scram::take_attribute(message, 'r');
  if (!nonce || !scram::valid_nonce(*nonce) || !nonce->starts_with(client_nonce) ||
      nonce->size() == client_nonce.size()) {
    return refuse("the server's SCRAM message does not carry on this client's nonce");
  }
  first.nonce = *nonce;
  const auto salt_text = scram::take_attribute(message, 's');
  const auto salt = salt_text ? base64_decode(*salt_text) : std::nullopt;
  if (!salt || salt->empty()) return refuse("the server's SCRAM message has no valid salt");
  first.salt = *salt;
  const Bytes rounds = scram::take_attribute(message, 'i').value_or(Bytes());
  const auto [end, error] =
      std::from_chars(rounds.data(), rounds.data() + rounds.size(), first.rounds);
  if (error != std::errc{} || end != rounds.data() + rounds.size() || first.rounds < 1) {
    return refuse("the server's SCRAM message has no valid iteration count");
  }
  if (first.rounds > ScramClient::kMaxRounds) {
    return refuse("the server asks for " + std::to_string(first.rounds) +
                  " SCRAM iterations, over the limit of " +
                  std::to_string(ScramClient::kMaxRounds));
  }
  return first;
}

}  // namespace

ScramClientKeys ScramKeyCache::keys(const core::Secret& password, const std::string& salt,
                                    int rounds) {
  // Held while deriving: logins that come together need the same keys, so the second one waits for
  // the first instead of stretching the password again.
  const std::lock_guard lock(mutex_);
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (entry->rounds == rounds && entry->salt == salt && entry->password == password) {
      entries_.splice(entries_.begin(), entries_, entry);
      return entry->keys;
    }
  }
  Sha256 salted = pbkdf2_sha256(saslprep(password).reveal(), salt, rounds);
  const ScramClientKeys keys{hmac_sha256(view(salted), "Client Key"),
                             hmac_sha256(view(salted), "Server Key")};
  OPENSSL_cleanse(salted.data(), salted.size());
  entries_.push_front({password, salt, rounds, keys});
  if (entries_.size() > kCapacity) entries_.pop_back();
  return keys;
}

ScramClient::ScramClient(core::Secret password, std::string channel_binding, bool plus_offered,
                         ScramKeyCache& cache)
    : ScramClient(std::move(password), std::move(channel_binding), plus_offered, cache,
                  scram::make_nonce()) {}

ScramClient::ScramClient(core::Secret password, std::string channel_binding, bool plus_offered,
                         ScramKeyCache& cache, std::string nonce)
    : password_(std::move(password)),
      channel_binding_(std::move(channel_binding)),
      use_plus_(plus_offered && !channel_binding_.empty()),
      cache_(cache),
      nonce_(std::move(nonce)) {
  // 'y' says "I could, but you did not offer": the server notices a list that was cut on the way.
  if (use_plus_) {
    gs2_header_ = scram::kPlusHeader;
  } else {
    gs2_header_ = channel_binding_.empty() ? "n,," : "y,,";
  }
}

std::string ScramClient::first(Bytes user) {
  client_first_bare_ = "n=";
  client_first_bare_.append(user).append(",r=").append(nonce_);
  return gs2_header_ + client_first_bare_;
}

ScramResult<std::string> ScramClient::final(Bytes server_first) {
  const auto parsed = parse_server_first(server_first, nonce_);
  if (!parsed) return tl::unexpected(parsed.error());
  const ScramClientKeys keys = cache_.keys(password_, parsed->salt, parsed->rounds);

  std::string message = "c=" + scram::encode_binding(gs2_header_, channel_binding_) + ",r=";
  message.append(parsed->nonce);
  std::string auth_message = client_first_bare_ + ',';
  auth_message.append(server_first).append(",").append(message);

  const Sha256 stored_key = sha256(view(keys.client_key));
  const Sha256 signature = hmac_sha256(view(stored_key), auth_message);
  Sha256 proof;
  for (std::size_t i = 0; i < proof.size(); ++i) {
    proof[i] = static_cast<char>(keys.client_key[i] ^ signature[i]);
  }
  expected_signature_ = hmac_sha256(view(keys.server_key), auth_message);
  return message + ",p=" + base64_encode(view(proof));
}

ScramResult<void> ScramClient::verify(Bytes server_final) const {
  if (server_final.starts_with("e=")) {
    return refuse("the server ended the SCRAM exchange: " +
                  std::string(server_final.substr(2, 200)));
  }
  const auto value = scram::take_attribute(server_final, 'v');
  const auto signature = value ? base64_decode(*value) : std::nullopt;
  if (!signature) return refuse("the server's last SCRAM message is malformed");
  if (!equal_constant_time(*signature, view(expected_signature_))) {
    return refuse("the server does not know the password: its SCRAM signature is wrong");
  }
  return {};
}

}  // namespace hyperdrive::proxy::wire::postgres
