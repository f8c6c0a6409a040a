// `hyperdrive create`: checks, connects, stores, prints the snippet.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/commands/binding_step.hpp"
#include "cli/commands/store.hpp"
#include "cli/context.hpp"
#include "cli/origin_flags.hpp"
#include "core/config/json.hpp"
#include "core/config/text.hpp"
#include "core/config/validate.hpp"

namespace hyperdrive::cli {
namespace {

constexpr Flag kFlags[] = {
    {.name = "binding", .help = "The binding name of this resource in your Worker"},
    {.name = "update-config",
     .kind = FlagKind::kBoolean,
     .help = "Add the binding to your wrangler file without asking"},
    {.name = "verify",
     .kind = FlagKind::kBoolean,
     .help = "Store the config without connecting to the database",
     .on = true},
    {.name = "if-not-exists",
     .kind = FlagKind::kBoolean,
     .help = "If a config of this name exists, leave it as it is and succeed"},
    {.name = "upsert",
     .kind = FlagKind::kBoolean,
     .help = "If a config of this name exists, update it with these flags"},
    // wrangler takes it beside the positional, which wins.
    {.name = "name", .help = "The name of the Hyperdrive config", .hidden = true},
};

constexpr Positional kPositionals[] = {{"name", "The name of the Hyperdrive config"}};

constexpr Example kExamples[] = {
    {"hyperdrive create prod-db --connection-string "
     "\"postgresql://app:secret@db.example.com/shop\"",
     "everything at once"},
    {"printf %s \"$URL\" | hyperdrive create prod-db --connection-string -",
     "the secret never appears in `ps`"},
    {"hyperdrive create prod-db --host db.example.com --user app --database shop "
     "--origin-password-file ./password",
     "by parts"},
    {"hyperdrive create prod-db --connection-string-env DATABASE_URL --binding DB --if-not-exists",
     "in a script"},
};

std::string_view title(const core::Origin& origin) {
  return origin.scheme_text.empty() ? core::scheme_title(origin.scheme) : std::string_view();
}

Outcome conclude(Context& context, const BindingStep& step, const core::Config& config) {
  context.out().document_if_json(core::public_json(config));
  if (context.out().quiet()) context.out().print(config.id);
  if (auto done = finish_binding(context, step, config); !done) return tl::unexpected(done.error());
  return 0;
}

Outcome keep_existing(Context& context, const BindingStep& step, const core::Config& config) {
  context.out().say(
      fmt::format("✅ The Hyperdrive config {} exists already: {}", config.name, config.id));
  return conclude(context, step, config);
}

Outcome update_existing(Context& context, const BindingStep& step, const core::Config& present,
                        ConfigEdit edit) {
  auto stored = store_change(context, present, {.edit = std::move(edit)});
  if (!stored) return tl::unexpected(stored.error());
  context.out().say(fmt::format("✅ Updated {} Hyperdrive config", stored->id));
  return conclude(context, step, *stored);
}

Outcome create(Context& context) {
  const Arguments& args = context.args();
  const std::string name(args.positional(0));
  if (auto fine = core::validate_name(name); !fine) return tl::unexpected(fine.error());
  auto step = prepare_binding(context);
  if (!step) return tl::unexpected(step.error());

  const bool may_exist = args.on("if-not-exists") || args.on("upsert");
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  if (may_exist) {
    auto present = (*registry)->look_up(name);
    if (!present) return tl::unexpected(present.error());
    if (*present && !args.on("upsert")) return keep_existing(context, *step, **present);
    if (*present) {
      auto edit = read_config_change(context);
      if (!edit) return tl::unexpected(edit.error());
      return update_existing(context, *step, **present, std::move(*edit));
    }
  }
  auto edit = read_new_config(context);
  if (!edit) return tl::unexpected(edit.error());
  context.out().say(fmt::format("🚧 Creating '{}'", name));
  auto stored = store_new(context, name, *edit);
  if (!stored) {
    // Another process may have created it in the meantime: the promise of the flag still holds.
    if (may_exist && stored.error().code == core::code::kNameTaken) return create(context);
    return tl::unexpected(stored.error());
  }
  context.out().say(
      fmt::format("✅ Created new Hyperdrive {} config: {}", title(stored->origin), stored->id));
  return conclude(context, *step, *stored);
}

}  // namespace

const Command kCreate{
    .path = "create",
    .summary = "Create a Hyperdrive config",
    .details =
        "Connects to the database first and stores nothing if that fails; the error says "
        "what was tried and what to do.",
    .positionals = kPositionals,
    .flags = kFlags,
    .examples = kExamples,
    .run = create,
    .origin = true,
    .settings = true,
};

}  // namespace hyperdrive::cli
