// The local registry: configs and certificates in one SQLite file, shared by any number of
// processes.
//
// Every method is one transaction (IMMEDIATE when it writes) and waits a bounded time for others.
// Configs that come out of `find` and `list` hold no secrets: those stay sealed until
// `unseal`/`launch`, so that reading needs no key. A Registry belongs to one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/home.hpp"
#include "core/config/config.hpp"

namespace hyperdrive::core {

/// A CA certificate, or a client certificate with its (sealed) key.
struct Certificate {
  std::string id;  ///< UUID
  std::string name;
  bool ca = false;
  std::string pem;
  Secret key_pem;  ///< given to `add_certificate`; filled by `launch` only
  std::string issuer;
  std::string serial_number;
  std::string signature;   ///< algorithm
  std::string expires_on;  ///< RFC 3339
  std::string uploaded_on;
};

class Registry {
 public:
  /// Opens or creates the registry of `home`, and migrates it. Errors: a newer version than this
  /// program knows (untouched), corrupt, not writable, disk full.
  static Result<Registry> open(const Home& home);
  Registry(Registry&&) noexcept;
  Registry& operator=(Registry&&) noexcept;
  ~Registry();

  const Home& home() const;

  // --- configs ----------------------------------------------------------------------------------
  /// Fills id, timestamps, local port and password where empty, seals, stores. A taken name is
  /// 2017.
  Result<Config> create(Config config);
  /// By id or name; an exact id wins over a name that looks like one. 2006 with "did you mean".
  Result<Config> find(std::string_view id_or_name);
  /// The same, without an error when there is none.
  Result<std::optional<Config>> look_up(std::string_view id_or_name);
  Result<std::optional<Config>> find_remote(std::string_view remote_id);
  std::vector<std::string> names_starting_with(std::string_view prefix);  ///< for completion
  Result<std::vector<Config>> list();                                     ///< by creation
  /// The same one by one, for commands that print all of many. `visit` does not come back here.
  Result<void> each(const std::function<void(const Config&)>& visit);
  // For `doctor`, without reading many rows.
  Result<std::size_t> count();
  /// Up to `most` ids, spread over the whole registry.
  Result<std::vector<std::string>> sample(std::size_t most);
  /// The config that has this local port.
  Result<std::optional<Config>> on_local_port(std::uint16_t port);
  /// A port above `port` that no config has.
  Result<int> local_port_above(std::uint16_t port);

  /// Reads the row with its secrets, lets `edit` change it, seals anew, stores: one transaction.
  /// Id and creation stay. When the old secret does not open, `edit` must supply a new one.
  using Edit = std::function<Result<void>(Config&)>;
  Result<Config> update(std::string_view id_or_name, const Edit& edit);
  /// Notes the id at Cloudflare and that this state of the config is what lies there (after a push
  /// or a pull). Unlike `update` it is no change of the config.
  Result<void> link_remote(std::string_view id, std::string_view remote_id);
  /// Whether the config was changed since `link_remote`: then its password may be new there.
  Result<bool> changed_since_push(std::string_view id);
  /// Deletes and returns what was deleted.
  Result<Config> remove(std::string_view id_or_name);

  /// Fills in the secrets. An altered row is an error that says so.
  Result<void> unseal(Config& config);
  /// The config with secrets and certificates, ready for a proxy (paths are core/process's).
  Result<Launch> launch(std::string_view id_or_name);

  /// Runs `work` in one IMMEDIATE transaction: all of its changes or none (nested calls join it).
  Result<void> atomically(const std::function<Result<void>()>& work);

  // --- certificates -----------------------------------------------------------------------------
  Result<Certificate> add_certificate(Certificate certificate);
  Result<std::vector<Certificate>> list_certificates();
  /// By id or name; not found is an error.
  Result<Certificate> find_certificate(std::string_view id_or_name);
  /// An error names the configs that still use it.
  Result<Certificate> remove_certificate(std::string_view id_or_name);
  Result<Certificates> certificates_of(const Config& config);

  /// `PRAGMA integrity_check`: empty when all is well (for `doctor`).
  Result<std::string> check_integrity();

 private:
  struct Impl;
  explicit Registry(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hyperdrive::core
