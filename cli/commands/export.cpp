// `hyperdrive export`: the file for `apply` that declares what is there. Never a secret.
#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "core/config/declaration.hpp"

namespace hyperdrive::cli {
namespace {

constexpr Positional kPositionals[] = {{.name = "config",
                                        .help = "Only these configs (names or ids)",
                                        .required = false,
                                        .many = true,
                                        .offer = Offer::kConfigs}};

constexpr Example kExamples[] = {
    {"hyperdrive export > hyperdrive.toml", "all configs as TOML, without passwords"},
    {"hyperdrive export prod-db --json > hyperdrive.json", "one of them, as JSON"},
};

core::Result<std::vector<core::Config>> chosen(Context& context) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  if (context.args().positionals().empty()) return (*registry)->list();
  std::vector<core::Config> configs;
  for (const std::string& name : context.args().positionals()) {
    auto config = (*registry)->find(name);
    if (!config) return tl::unexpected(config.error());
    configs.push_back(std::move(*config));
  }
  return configs;
}

Outcome run_export(Context& context) {
  auto configs = chosen(context);
  if (!configs) return tl::unexpected(configs.error());
  std::string text = core::export_toml(*configs);
  if (text.ends_with('\n')) text.pop_back();
  context.out().print(text);
  context.out().document_if_json(core::export_json(*configs));
  return 0;
}

}  // namespace

const Command kExport{
    .path = "export",
    .summary = "Print the configs as a file for apply",
    .positionals = kPositionals,
    .examples = kExamples,
    .run = run_export,
};

}  // namespace hyperdrive::cli
