// Config <-> row of `configs`, and the sealing of its secrets. Internal to core/registry.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <memory>
#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "core/registry/registry.hpp"
#include "core/secrets/seal.hpp"

namespace hyperdrive::core {

/// A SELECT of configs without their secrets, read row by row into one Config whose texts keep
/// their memory: of 10 000 rows, most of the time went into allocating and into SQLiteCpp's
/// columns. SQLite's faults are thrown as SQLite::Exception. Lives as long as the transaction at
/// most.
class ConfigRows {
 public:
  /// `rest`: what follows `FROM configs`, with at most one parameter.
  ConfigRows(SQLite::Database& database, std::string_view rest);
  void bind(std::string_view value);
  /// The next row, valid until the next call; nullptr at the end. An error when what is stored
  /// cannot be read.
  Result<const Config*> next();

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept;
  };
  Result<void> read();

  SQLite::Database& database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  Config config_;
  bool settings_read_ = false;  ///< config_.local holds some that are off their defaults
};

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
