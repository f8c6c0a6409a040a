// `apply` and `export`: configs declared in one TOML or JSON file.
//
//   [[configs]]
//   name = "prod-db"
//   origin = { scheme = "postgresql", host = "db.example.com", port = 5432, database = "shop",
//              user = "app", password = "env:SHOP_PASSWORD" }
//   caching = { max_age = 30 }
//   mtls = { sslmode = "verify-full", ca_certificate_id = "my-ca" }
//   origin_connection_limit = 20
//   local = { invalidation = "writes", cache_rules = ["orders:max-age=5"] }
//
// A declaration is the whole truth about a config: what it leaves out has its default. Two things
// are kept instead: a stored secret that the file does not mention, and the local port.
//
// Everything here is pure: reading takes text, secrets come through a callback, the plan is made
// from values. Secrets never appear in a plan, an export, or an error.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/secret.hpp"
#include "core/config/config.hpp"

namespace hyperdrive::core {

enum class DeclarationFormat { kToml, kJson };

/// By the end of the name: `.json` is JSON, anything else TOML.
DeclarationFormat declaration_format(std::string_view file_name);

/// What `env:NAME` or `file:PATH` stands for.
using ResolveSecret = std::function<Result<Secret>(std::string_view reference)>;

struct Declared {
  Config config;  ///< valid; secrets only where the file refers to them
  bool keeps_local_port = true;
};

/// Reads and checks the whole file. An error names the place (line and column, or the config and
/// the key) and is the file's first; nothing is given back then.
Result<std::vector<Declared>> read_declarations(std::string_view text, DeclarationFormat format,
                                                const ResolveSecret& resolve);

/// `env:NAME` from the environment, `file:PATH` relative to `folder`, without a final line end.
Result<Secret> resolve_secret_reference(std::string_view reference, const std::string& folder);

struct Difference {
  std::string field;   ///< `origin.host`, `local.idle_timeout`, `origin.password`
  std::string before;  ///< empty: the default; secrets: `(sealed)`
  std::string after;
};

enum class PlannedAction { kCreate, kUpdate, kKeep };

struct PlannedStep {
  PlannedAction action = PlannedAction::kKeep;
  Config config;  ///< as it is to be stored, id and secrets of the present one included
  std::vector<Difference> differences;
};

struct Plan {
  std::vector<PlannedStep> steps;  ///< in the file's order
  std::vector<Config> undeclared;  ///< in the registry, not in the file
};

/// Compares with what is there (`present` holds its secrets). A new config without a password is an
/// error.
Result<Plan> make_plan(std::span<const Declared> declared, std::span<const Config> present);

/// What differs between two configs, in the words of the file.
std::vector<Difference> differences_between(const Config& before, const Config& after);

/// The file that declares these configs; secrets are left out (a comment says how to refer to
/// them).
std::string export_toml(std::span<const Config> configs);
/// The same in pieces, for many: the lines before the first config, and one config after the other.
std::string_view export_heading();
void append_toml(const Config& config, std::string& text);
nlohmann::ordered_json export_json(std::span<const Config> configs);
/// An element of its "configs" as text; lines after the first stand in `indent` columns.
void append_declared_json(const Config& config, std::size_t indent, std::string& text);

}  // namespace hyperdrive::core
