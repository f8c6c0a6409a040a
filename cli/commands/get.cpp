// `hyperdrive get`: one config as JSON, field for field wrangler's.
#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "core/config/json.hpp"

namespace hyperdrive::cli {
namespace {

constexpr Flag kFlags[] = {
    {.name = "all",
     .kind = FlagKind::kBoolean,
     .help = "Every local setting too, with its value and its default"},
};

constexpr Positional kPositionals[] = {
    {.name = "config", .help = "Name or id of the Hyperdrive config", .offer = Offer::kConfigs}};

constexpr Example kExamples[] = {
    {"hyperdrive get prod-db", "as `wrangler hyperdrive get` prints it; never a password"},
    {"hyperdrive get prod-db --all", "with every setting of the local proxy"},
};

Outcome get(Context& context) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  auto config = (*registry)->find(context.args().positional(0));
  if (!config) return tl::unexpected(config.error());
  context.out().document(context.args().on("all") ? core::all_json(*config)
                                                  : core::public_json(*config));
  return 0;
}

}  // namespace

const Command kGet{
    .path = "get",
    .summary = "Get a Hyperdrive config",
    .positionals = kPositionals,
    .flags = kFlags,
    .examples = kExamples,
    .run = get,
};

}  // namespace hyperdrive::cli
