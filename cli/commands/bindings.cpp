// `hyperdrive bindings`: what the wrangler file here binds, and whether it is known here.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/output/table.hpp"
#include "cli/wrangler_file.hpp"

namespace hyperdrive::cli {
namespace {

constexpr Example kExamples[] = {
    {"hyperdrive bindings", "every environment of the file"},
    {"hyperdrive bindings -e staging --json", "one environment, for programs"},
};

struct Row {
  const core::wrangler::Binding* binding;
  std::string config;  ///< its name; empty: unknown here
};

core::Result<std::string> name_of(core::Registry& registry, const std::string& id) {
  auto local = registry.look_up(id);
  if (!local) return tl::unexpected(local.error());
  if (*local) return (*local)->name;
  auto remote = registry.find_remote(id);
  if (!remote) return tl::unexpected(remote.error());
  return *remote ? (*remote)->name : std::string();
}

std::string status_text(const Row& row) {
  if (!row.config.empty()) return row.config;
  return row.binding->local_connection_string ? "not here; localConnectionString" : "not here";
}

nlohmann::ordered_json json_of(const std::vector<Row>& rows) {
  auto array = nlohmann::ordered_json::array();
  for (const Row& row : rows) {
    array.push_back({{"environment", row.binding->environment},
                     {"binding", row.binding->name},
                     {"id", row.binding->id},
                     {"config", row.config.empty() ? nlohmann::ordered_json(nullptr)
                                                   : nlohmann::ordered_json(row.config)},
                     {"known", !row.config.empty()},
                     {"line", row.binding->line}});
  }
  return array;
}

Outcome bindings(Context& context) {
  auto file = need_wrangler_file(context);
  if (!file) return tl::unexpected(file.error());
  if (auto fine = check_environment(context, *file); !fine) return tl::unexpected(fine.error());
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  const std::string environment = context.environment();
  std::vector<Row> rows;
  for (const auto& binding : file->reading.bindings) {
    if (!environment.empty() && binding.environment != environment) continue;
    auto name = name_of(**registry, binding.id);
    if (!name) return tl::unexpected(name.error());
    rows.push_back({&binding, std::move(*name)});
  }
  Output& out = context.out();
  out.document_if_json(json_of(rows));
  if (rows.empty()) {
    out.note(fmt::format("{} has no Hyperdrive binding. Add one: hyperdrive bind <config>",
                         display_path(file->path)));
    return 0;
  }
  Table table{"environment", "binding", "id", "config"};
  bool unknown = false;
  for (const Row& row : rows) {
    unknown = unknown || row.config.empty();
    table.add({row.binding->environment, printable(row.binding->name), printable(row.binding->id),
               status_text(row)});
  }
  out.print(draw(table, out.width()));
  if (unknown) {
    out.note(
        "Not here: `hyperdrive pull <id>` fetches a config of your Cloudflare account, "
        "`hyperdrive create` makes one.");
  }
  return 0;
}

}  // namespace

const Command kBindings{
    .path = "bindings",
    .summary = "List the bindings of the wrangler file here",
    .details = "Ids that the registry does not know are marked.",
    .examples = kExamples,
    .run = bindings,
};

}  // namespace hyperdrive::cli
