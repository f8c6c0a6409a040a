// `hyperdrive update`: changes what is given, keeps the rest; a running proxy picks it up.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/commands/store.hpp"
#include "cli/context.hpp"
#include "cli/origin_flags.hpp"
#include "core/config/json.hpp"
#include "core/config/validate.hpp"

namespace hyperdrive::cli {
namespace {

constexpr Flag kFlags[] = {
    {.name = "name", .help = "Give your config a new name"},
    {.name = "verify",
     .kind = FlagKind::kBoolean,
     .help = "Store a changed origin without connecting to it",
     .on = true},
};

constexpr Positional kPositionals[] = {
    {.name = "config", .help = "Name or id of the Hyperdrive config", .offer = Offer::kConfigs}};

constexpr Example kExamples[] = {
    {"hyperdrive update prod-db --max-age 30 --swr 10", "how long answers are cached"},
    {"hyperdrive update prod-db --origin-password-file ./password", "a rotated password"},
    {"hyperdrive update prod-db --invalidation writes", "a write empties what it made stale"},
    {"hyperdrive update prod-db --no-caching-disabled", "the cache on again"},
};

Outcome update(Context& context) {
  const std::string which(context.args().positional(0));
  auto edit = read_config_change(context);
  if (!edit) return tl::unexpected(edit.error());
  Change change{.name = context.args().text("name"), .edit = std::move(*edit)};
  if (context.args().given("name")) {
    if (auto fine = core::validate_name(change.name.value_or("")); !fine) {
      return tl::unexpected(fine.error());
    }
  }
  if (!change.name && change.edit.empty()) {
    return core::usage("There is nothing to update.",
                       "Say what to change, for example --max-age 30; `hyperdrive update --help` "
                       "lists everything.");
  }
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  context.out().say(fmt::format("🚧 Updating '{}'", which));
  auto present = (*registry)->find(which);
  if (!present) return tl::unexpected(present.error());
  auto stored = store_change(context, *present, change);
  if (!stored) return tl::unexpected(stored.error());
  const auto json = core::public_json(*stored);
  context.out().document_if_json(json);
  context.out().say(fmt::format("✅ Updated {} Hyperdrive config\n {}", stored->id, json.dump(2)));
  return 0;
}

}  // namespace

const Command kUpdate{
    .path = "update",
    .summary = "Update a Hyperdrive config",
    .details =
        "What is not given stays. A running proxy takes the change without dropping a "
        "client; what needs a restart is said.",
    .positionals = kPositionals,
    .flags = kFlags,
    .examples = kExamples,
    .run = update,
    .origin = true,
    .settings = true,
};

}  // namespace hyperdrive::cli
