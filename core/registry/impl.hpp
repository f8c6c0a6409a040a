// What the parts of Registry share. Internal to core/registry.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/registry/database.hpp"
#include "core/registry/registry.hpp"

namespace hyperdrive::core {

struct Registry::Impl {
  std::unique_ptr<Database> database;

  SQLite::Database& sqlite() { return database->sqlite(); }
  /// One config by a condition with one parameter, or nothing.
  Result<std::optional<Config>> select(const std::string& condition, std::string_view value);
  Result<std::optional<Config>> look_up(std::string_view id_or_name);
  Result<Config> find(std::string_view id_or_name);
  Error not_found(std::string_view id_or_name);
  Result<void> unseal(Config& config);
  /// Fails with 2017 when another config than `id` has this name.
  Result<void> check_name(const std::string& name, const std::string& id);
  Result<void> check_local_port(std::uint16_t port, const std::string& id);
  Result<std::uint16_t> choose_local_port();
  Result<void> store(const std::string& sql, const Config& config);
  Result<std::optional<Certificate>> look_up_certificate(std::string_view id_or_name);
};

}  // namespace hyperdrive::core
