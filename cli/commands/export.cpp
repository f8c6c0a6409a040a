// `hyperdrive export`: the file for `apply` that declares what is there. Never a secret.
#include <functional>
#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/output/json_array.hpp"
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

/// Calls `visit` with all configs, or those that are named.
core::Result<void> each_chosen(Context& context,
                               const std::function<void(const core::Config&)>& visit) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  if (context.args().positionals().empty()) return (*registry)->each(visit);
  std::vector<core::Config> configs;
  for (const std::string& name : context.args().positionals()) {
    auto config = (*registry)->find(name);
    if (!config) return tl::unexpected(config.error());
    configs.push_back(std::move(*config));
  }
  for (const core::Config& config : configs) visit(config);
  return {};
}

Outcome export_as_json(Context& context) {
  JsonArray array(context.out(), 2, "{\n  \"version\": 1,\n  \"configs\": ", "\n}\n");
  auto done = each_chosen(context, [&array](const core::Config& config) {
    core::append_declared_json(config, array.inner(), array.next());
  });
  if (!done) return tl::unexpected(done.error());
  array.finish();
  return 0;
}

Outcome run_export(Context& context) {
  if (context.out().json()) return export_as_json(context);
  constexpr std::size_t kPiece = 64u << 10;
  std::string text(core::export_heading());
  auto done = each_chosen(context, [&](const core::Config& config) {
    core::append_toml(config, text);
    if (text.size() < kPiece) return;
    context.out().print_raw(text);
    text.clear();
  });
  if (!done) return tl::unexpected(done.error());
  context.out().print_raw(text);
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
