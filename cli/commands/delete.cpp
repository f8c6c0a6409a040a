// `hyperdrive delete`: asks on a terminal, refuses while the proxy runs, tells who still binds it.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/output/progress.hpp"
#include "cli/output/prompt.hpp"
#include "cli/wrangler_file.hpp"
#include "core/config/json.hpp"
#include "core/config/suggest.hpp"
#include "core/process/proxy.hpp"
#include "core/wrangler/file.hpp"
#include "core/wrangler/find.hpp"

namespace hyperdrive::cli {
namespace {
namespace wrangler = core::wrangler;

constexpr Flag kFlags[] = {
    {.name = "force",
     .kind = FlagKind::kBoolean,
     .help = "Stop its proxy first if it runs, clients or not"},
};

constexpr Positional kPositionals[] = {
    {.name = "config", .help = "Name or id of the Hyperdrive config", .offer = Offer::kConfigs}};

constexpr Example kExamples[] = {
    {"hyperdrive delete prod-db", "asks first on a terminal"},
    {"hyperdrive delete prod-db --yes --force", "in a script, running or not"},
};

/// Whether its proxy has to be stopped; without --force that is refused.
core::Result<bool> must_be_stopped(Context& context, const core::Config& config) {
  auto home = context.home();
  if (!home) return tl::unexpected(home.error());
  auto state = core::proxy_state(*home, config.id);
  if (!state) return tl::unexpected(state.error());
  if (state->phase == core::ProxyPhase::kStopped) return false;
  if (context.args().on("force")) return true;
  return core::fail(fmt::format("The proxy of '{}' is running (pid {}).", config.name, state->pid),
                    fmt::format("Stop it first: hyperdrive stop {}. Or delete with --force.",
                                core::shell_word(config)));
}

core::Result<void> stop_first(Context& context, const core::Config& config) {
  auto home = context.home();
  if (!home) return tl::unexpected(home.error());
  auto running = must_be_stopped(context, config);
  if (!running) return tl::unexpected(running.error());
  if (!*running) return {};
  const Progress progress(context.out(), fmt::format("Stopping the proxy of {}", config.name));
  auto stopped = core::stop_proxy(*home, config.id);
  if (!stopped) stopped = core::kill_proxy(*home, config.id);
  return stopped ? core::Result<void>{} : tl::unexpected(stopped.error());
}

struct Use {
  std::string file;
  std::string environment;
  std::string binding;
};

/// Bindings of this config in the wrangler files of this folder, above and below.
std::vector<Use> uses_of(Context& context, const core::Config& config) {
  const auto here = std::filesystem::current_path();
  auto files = wrangler::nearby_configs(here);
  if (auto above = wrangler::find_config(here, context.config_file()); above && *above) {
    if (std::find(files.begin(), files.end(), **above) == files.end()) files.push_back(**above);
  }
  std::vector<Use> uses;
  for (const auto& file : files) {
    // Only a courtesy: a file that cannot be read or parsed has nothing to say here.
    const auto text = wrangler::read_file(file);
    if (!text) continue;
    const auto reading = wrangler::read_bindings(*text, wrangler::format_of(file), file.string());
    if (!reading) continue;
    for (const auto& binding : reading->bindings) {
      if (binding.id == config.id ||
          (!config.remote_id.empty() && binding.id == config.remote_id)) {
        uses.push_back({display_path(file), binding.environment, binding.name});
      }
    }
  }
  return uses;
}

Outcome remove(Context& context) {
  const std::string which(context.args().positional(0));
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  auto config = (*registry)->find(which);
  if (!config) return tl::unexpected(config.error());
  // Nobody is asked about what will be refused anyhow.
  if (auto running = must_be_stopped(context, *config); !running) {
    return tl::unexpected(running.error());
  }
  const auto uses = uses_of(context, *config);
  for (const Use& use : uses) {
    context.out().warn(fmt::format(
        "{} still binds it as {}{}; `hyperdrive unbind {}{}` removes that.", use.file, use.binding,
        use.environment.empty() ? "" : " in " + use.environment, core::shell_word(use.binding),
        use.environment.empty() ? "" : " -e " + core::shell_word(use.environment)));
  }
  if (context.may_ask()) {
    auto sure = ask_yes_no(
        context.out(),
        fmt::format("Are you sure you want to delete {} ({})?", config->name, config->id), false);
    if (!sure) return tl::unexpected(sure.error());
    if (!*sure) {
      context.out().say("Nothing was deleted.");
      return 0;
    }
  }
  if (auto stopped = stop_first(context, *config); !stopped) {
    return tl::unexpected(stopped.error());
  }
  context.out().say(fmt::format("🗑️ Deleting Hyperdrive database config {}", which));
  auto gone = (*registry)->remove(config->id);
  if (!gone) return tl::unexpected(gone.error());
  if (auto clean = core::forget_proxy((*registry)->home(), config->id); !clean) {
    context.out().warn(clean.error().message);
  }
  context.out().document_if_json({{"deleted", gone->id}, {"name", gone->name}});
  context.out().say("✅ Deleted");
  return 0;
}

}  // namespace

const Command kDelete{
    .path = "delete",
    .summary = "Delete a Hyperdrive config",
    .positionals = kPositionals,
    .flags = kFlags,
    .examples = kExamples,
    .run = remove,
};

}  // namespace hyperdrive::cli
