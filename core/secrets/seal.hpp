// Secrets at rest: AES-256-GCM, a fresh random nonce each time, bound to what they belong to.
//
// The associated data names id, scheme, host, port, user, database, TLS mode and certificate ids:
// who edits a row of the registry cannot have its password sent elsewhere, the seal no longer
// opens. Blob: one version byte (1), 12 bytes nonce, ciphertext, 16 bytes tag.
//
// The key is `key` in the home folder (64 hexadecimal digits, 0600, made on first use, race-free),
// or HYPERDRIVE_KEY (64 hexadecimal digits, or any passphrase of 16 bytes or more, hashed).
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/base/home.hpp"
#include "core/base/secret.hpp"
#include "core/config/config.hpp"

namespace hyperdrive::core {

class Sealer {
 public:
  /// The installation's key; made when there is none yet.
  static Result<Sealer> open_or_create(const Home& home);
  /// The installation's key; a missing one is an error (there are sealed rows, but nothing opens).
  static Result<Sealer> open(const Home& home);

  Result<std::string> seal(const Secret& secret, std::string_view associated) const;
  /// An error when the key is another one or anything was altered.
  Result<Secret> unseal(std::string_view blob, std::string_view associated) const;

 private:
  explicit Sealer(Secret key) : key_(std::move(key)) {}
  Secret key_;  // 32 bytes
};

/// What a config's secrets are bound to; `purpose` tells them apart (`origin`, `access`, …).
std::string associated_data(const Config& config, std::string_view purpose);

}  // namespace hyperdrive::core
