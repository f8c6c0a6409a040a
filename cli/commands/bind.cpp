// `hyperdrive bind`: the binding of a config in the wrangler file here.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/commands/binding_step.hpp"
#include "cli/context.hpp"
#include "cli/wrangler_file.hpp"

namespace hyperdrive::cli {
namespace {

constexpr Flag kFlags[] = {
    {.name = "binding",
     .help = "The binding name of this resource in your Worker (default: HYPERDRIVE)"},
};

constexpr Positional kPositionals[] = {
    {.name = "config", .help = "Name or id of the Hyperdrive config", .offer = Offer::kConfigs}};

constexpr Example kExamples[] = {
    {"hyperdrive bind prod-db", "env.HYPERDRIVE in the Worker"},
    {"hyperdrive bind prod-db --binding DB -e staging", "in an environment"},
};

Outcome bind(Context& context) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  auto config = (*registry)->find(context.args().positional(0));
  if (!config) return tl::unexpected(config.error());
  auto file = need_wrangler_file(context);
  if (!file) return tl::unexpected(file.error());
  if (auto fine = check_environment(context, *file); !fine) return tl::unexpected(fine.error());
  const std::string name = valid_binding(
      context, context.args().text_or("binding", core::wrangler::kDefaultBindingName));
  const std::string id = binding_id(*config);
  auto changed = bind_in_file(context, *file, name, id);
  if (!changed) return tl::unexpected(changed.error());

  const std::string shown = display_path(file->path);
  const std::string environment = context.environment();
  if (!environment.empty() && file->reading.environments.empty()) {
    context.out().note(fmt::format("{} had no environment: {} is its first.", shown, environment));
  }
  context.out().document_if_json({{"file", file->path.string()},
                                  {"environment", environment},
                                  {"binding", name},
                                  {"id", id},
                                  {"changed", *changed}});
  context.out().say(fmt::format("✅ {} {} {} to {}{}", shown, *changed ? "binds" : "already bound",
                                name, config->name,
                                environment.empty() ? "" : " in the environment " + environment));
  return 0;
}

}  // namespace

const Command kBind{
    .path = "bind",
    .summary = "Bind a config in the wrangler file here",
    .details =
        "Adds the binding to wrangler.json, .jsonc or .toml, or replaces its id if it is "
        "there; nothing else in the file changes. With -e in an environment that the file has, or "
        "as its first.",
    .positionals = kPositionals,
    .flags = kFlags,
    .examples = kExamples,
    .run = bind,
};

}  // namespace hyperdrive::cli
