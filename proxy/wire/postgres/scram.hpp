// SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 7677), both sides, as values and pure steps.
//
// The server side works from derived keys (ScramVerifier) that are made once and kept: a login
// costs four hashes, never the password's stretching. The client side must stretch, so it keeps its
// keys per (password, salt, rounds) in a ScramKeyCache that all origin logins of a process share.
//
// A ScramServer or ScramClient serves one exchange on one thread. ScramKeyCache is thread-safe.
#pragma once

#include <list>
#include <mutex>
#include <string>
#include <tl/expected.hpp>

#include "core/base/secret.hpp"
#include "proxy/wire/postgres/hash.hpp"
#include "proxy/wire/postgres/protocol.hpp"

namespace hyperdrive::proxy::wire::postgres {

inline constexpr Bytes kScram = "SCRAM-SHA-256";
inline constexpr Bytes kScramPlus = "SCRAM-SHA-256-PLUS";

/// Why an exchange ended; goes into an ErrorResponse as it is. A server's 28P01 has no message: the
/// session knows whose password it was.
struct ScramFailure {
  Bytes sqlstate;
  std::string message;
  std::string detail;
};
template <class T>
using ScramResult = tl::expected<T, ScramFailure>;

// --- server ---

/// What a server keeps instead of the password (the content of pg_authid.rolpassword).
struct ScramVerifier {
  std::string salt;
  int rounds = 0;
  Sha256 stored_key{};
  Sha256 server_key{};
  bool genuine = true;  ///< false: an exchange for a user who does not exist; its end is a refusal

  /// Stretches the password: 0.25 ms for 1000 rounds. The salt is random where none is given.
  static ScramVerifier derive(const core::Secret& password, int rounds);
  static ScramVerifier derive(const core::Secret& password, int rounds, std::string salt);
  /// For an unknown user: looks the same from outside, with one salt per name as long as `secret`
  /// (random, one per process) lives, so that the exchange does not tell who exists.
  static ScramVerifier mock(Bytes user, Bytes secret, int rounds);
};

class ScramServer {
 public:
  /// `channel_binding`: the server certificate's tls-server-end-point hash; empty without TLS, and
  /// then only kScram may be offered. `verifier` must outlive the exchange.
  explicit ScramServer(const ScramVerifier& verifier, std::string channel_binding = {});
  /// With a given server nonce, for tests.
  ScramServer(const ScramVerifier& verifier, std::string channel_binding, std::string nonce);

  /// client-first-message -> server-first-message.
  ScramResult<std::string> first(Bytes mechanism, Bytes message);
  /// client-final-message -> server-final-message: the client knows the password.
  ScramResult<std::string> final(Bytes message);

 private:
  ScramResult<Bytes> check_binding_flag(Bytes mechanism, Bytes message);
  bool proof_is_right(Bytes proof, Bytes auth_message) const;

  const ScramVerifier& verifier_;
  std::string channel_binding_;
  std::string nonce_;  // the server's part, then both
  std::string gs2_header_;
  std::string client_first_bare_;
  std::string server_first_;
};

// --- client ---

struct ScramClientKeys {
  Sha256 client_key{};
  Sha256 server_key{};
};

class ScramKeyCache {
 public:
  /// Derives at most once for the last few distinct arguments.
  ScramClientKeys keys(const core::Secret& password, const std::string& salt, int rounds);

 private:
  static constexpr std::size_t kCapacity = 16;
  struct Entry {
    core::Secret password;
    std::string salt;
    int rounds;
    ScramClientKeys keys;
  };
  std::mutex mutex_;
  std::list<Entry> entries_;  // latest used first
};

class ScramClient {
 public:
  /// A server may ask for this many rounds at most: about a quarter of a second.
  static constexpr int kMaxRounds = 1'000'000;

  /// `channel_binding`: the tls-server-end-point hash of the server's certificate, empty without
  /// TLS. `plus_offered`: the server lists kScramPlus. `cache` must outlive the exchange.
  ScramClient(core::Secret password, std::string channel_binding, bool plus_offered,
              ScramKeyCache& cache);
  ScramClient(core::Secret password, std::string channel_binding, bool plus_offered,
              ScramKeyCache& cache, std::string nonce);

  Bytes mechanism() const { return use_plus_ ? kScramPlus : kScram; }
  /// client-first-message. `user` is empty towards Postgres, which knows it from the startup
  /// packet.
  std::string first(Bytes user = {});
  /// server-first-message -> client-final-message.
  ScramResult<std::string> final(Bytes server_first);
  /// server-final-message: whether the server knows the password too.
  ScramResult<void> verify(Bytes server_final) const;

 private:
  core::Secret password_;
  std::string channel_binding_;
  bool use_plus_;
  ScramKeyCache& cache_;
  std::string nonce_;
  std::string gs2_header_;
  std::string client_first_bare_;
  Sha256 expected_signature_{};
};

}  // namespace hyperdrive::proxy::wire::postgres
