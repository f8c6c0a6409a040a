// Config <-> row of `configs`, and the sealing of its secrets. Internal to core/registry.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <string>

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "core/registry/registry.hpp"
#include "core/secrets/seal.hpp"

namespace hyperdrive::core {

/// The columns that `read_config_row` expects, in its order.
std::string config_columns();
/// A row without its secrets. An error when the stored settings cannot be read.
Result<Config> read_config_row(SQLite::Statement& row);

/// The four sealed columns of a config; an empty string is NULL.
struct SealedSecrets {
  std::string password;
  std::string access_client_secret;
  std::string local_password;
  std::string cache_password;
};
Result<SealedSecrets> seal_secrets(const Config& config, const Sealer& sealer);
Result<void> unseal_secrets(Config& config, const SealedSecrets& sealed, const Sealer& sealer);

/// Binds everything to an INSERT or UPDATE with the parameters named as the columns.
void bind_config(SQLite::Statement& statement, const Config& config, const SealedSecrets& sealed);
/// `INSERT INTO configs(…) VALUES (…)` and `UPDATE configs SET … WHERE id = :id`.
std::string insert_config_sql();
std::string update_config_sql();

Certificate read_certificate_row(SQLite::Statement& row);
std::string certificate_columns();

}  // namespace hyperdrive::core
