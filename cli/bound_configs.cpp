#include "cli/bound_configs.hpp"

#include <fmt/format.h>

#include "cli/wrangler_file.hpp"
#include "core/config/connection_string.hpp"
#include "core/config/suggest.hpp"
#include "core/process/ports.hpp"
#include "core/secrets/random.hpp"

namespace hyperdrive::cli {
namespace {
namespace wrangler = core::wrangler;

/// By local id, then by the id at Cloudflare.
core::Result<std::optional<core::Config>> look_up_id(core::Registry& registry,
                                                     const std::string& id) {
  if (id.empty()) return std::nullopt;
  auto local = registry.look_up(id);
  if (!local || *local) return local;
  return registry.find_remote(id);
}

constexpr std::uint16_t kFirstTemporaryPort = 15'432;

/// `above`: the local port of the temporary config before this one; its proxy does not hold it yet.
core::Result<core::Config> temporary_config(Context& context, const wrangler::Binding& binding,
                                            std::uint16_t above) {
  auto parsed = core::parse_connection_string(*binding.local_connection_string);
  if (!parsed) {
    core::Error error = parsed.error();
    error.message =
        fmt::format("The localConnectionString of the binding {}: {}", binding.name, error.message);
    return tl::unexpected(std::move(error));
  }
  for (const std::string& warning : parsed->warnings) context.out().warn(warning);
  core::Config config;
  config.id = core::random_id();
  config.name = binding.name;
  config.origin = std::move(parsed->origin);
  config.tls.mode = parsed->ssl_mode;
  if (parsed->connect_timeout) config.local.connect_timeout = *parsed->connect_timeout;
  config.local.local_password = core::random_password();
  config.local.local_port = core::next_free_port(above);
  return config;
}

core::Result<core::Config> config_of(Context& context, core::Registry& registry,
                                     const WranglerFile& file, const wrangler::Binding& binding,
                                     std::uint16_t last_temporary_port) {
  auto found = look_up_id(registry, binding.id);
  if (!found) return tl::unexpected(found.error());
  if (*found) {
    if (auto opened = registry.unseal(**found); !opened) return tl::unexpected(opened.error());
    return std::move(**found);
  }
  if (binding.local_connection_string)
    return temporary_config(context, binding, last_temporary_port);
  return core::fail(
      fmt::format("{}:{}: the binding {} has the id '{}', which is not known here.",
                  display_path(file.path), binding.line, binding.name, binding.id),
      fmt::format("If it is a config of your Cloudflare account: hyperdrive pull {}\n"
                  "Or bind a config that you have (`hyperdrive list`): hyperdrive bind <config> "
                  "--binding {}\n"
                  "Or make one and bind it: hyperdrive create my-db --binding {} "
                  "--connection-string …",
                  core::shell_word(binding.id), binding.name, binding.name),
      core::code::kNoSuchConfig);
}

}  // namespace

std::string local_variable(std::string_view binding) {
  return fmt::format("CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_{}", binding);
}

core::Result<std::vector<BoundConfig>> bound_configs(Context& context, std::string_view only) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  std::optional<core::Config> wanted;
  if (!only.empty()) {
    auto config = (*registry)->find(only);
    if (!config) return tl::unexpected(config.error());
    if (auto opened = (*registry)->unseal(*config); !opened) return tl::unexpected(opened.error());
    wanted = std::move(*config);
  }
  auto file = read_wrangler_file(context);
  if (!file) return tl::unexpected(file.error());
  const std::string environment = context.environment();
  std::vector<BoundConfig> bound;
  std::uint16_t last_temporary_port = kFirstTemporaryPort;
  if (*file) {
    if (auto fine = check_environment(context, **file); !fine) return tl::unexpected(fine.error());
    for (const wrangler::Binding& binding : (*file)->reading.bindings) {
      if (binding.environment != environment) continue;
      if (wanted) {
        if (binding.id == wanted->id ||
            (!wanted->remote_id.empty() && binding.id == wanted->remote_id)) {
          bound.push_back({binding.name, *wanted});
        }
        continue;
      }
      auto config = config_of(context, **registry, **file, binding, last_temporary_port);
      if (!config) return tl::unexpected(config.error());
      const bool temporary = config->created_on.empty();  // the registry dates its own
      if (temporary) last_temporary_port = config->local.local_port;
      bound.push_back({binding.name, std::move(*config), temporary});
    }
  }
  if (!bound.empty()) return bound;
  if (wanted) {
    bound.push_back({.binding = std::string(wrangler::kDefaultBindingName),
                     .config = std::move(*wanted),
                     .unbound = true});
    return bound;
  }
  const std::string where =
      *file ? fmt::format("{} has no Hyperdrive binding{}.", display_path((*file)->path),
                          environment.empty() ? "" : " in the environment " + environment)
            : "There is no wrangler file here or above.";
  return core::fail(where, "Bind a config: hyperdrive bind <config>. Or name the config.");
}

}  // namespace hyperdrive::cli
