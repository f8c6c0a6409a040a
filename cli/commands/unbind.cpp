// `hyperdrive unbind`: takes a binding out of the wrangler file here.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/wrangler_file.hpp"
#include "core/config/suggest.hpp"
#include "core/wrangler/file.hpp"

namespace hyperdrive::cli {
namespace {
namespace wrangler = core::wrangler;

constexpr Flag kFlags[] = {
    {.name = "binding", .help = "The name of the binding to remove", .offer = Offer::kBindings},
};

constexpr Positional kPositionals[] = {
    {.name = "binding",
     .help = "A binding's name, or the name or id of a config: then every binding of it",
     .required = false,
     .offer = Offer::kBindings}};

constexpr Example kExamples[] = {
    {"hyperdrive unbind HYPERDRIVE", "by the binding's name"},
    {"hyperdrive unbind prod-db -e staging", "all bindings of a config in an environment"},
};

/// The names of the bindings meant; more than one when a config is bound twice.
core::Result<std::vector<std::string>> meant(Context& context, const WranglerFile& file,
                                             const std::string& which, bool by_binding_only) {
  const std::string environment = context.environment();
  std::vector<std::string> names;
  std::vector<std::string> all;
  for (const auto& binding : file.reading.bindings) {
    if (binding.environment != environment) continue;
    all.push_back(binding.name);
    if (binding.name == which) return std::vector{which};
  }
  if (!by_binding_only) {
    auto registry = context.registry();
    if (!registry) return tl::unexpected(registry.error());
    auto config = (*registry)->look_up(which);
    if (!config) return tl::unexpected(config.error());
    for (const auto& binding : file.reading.bindings) {
      if (binding.environment != environment) continue;
      const bool bound =
          *config ? binding.id == (*config)->id ||
                        (!(*config)->remote_id.empty() && binding.id == (*config)->remote_id)
                  : binding.id == which;
      if (bound) names.push_back(binding.name);
    }
  }
  if (!names.empty()) return names;
  return core::fail(fmt::format("{} has no binding '{}'{}.", display_path(file.path), which,
                                environment.empty() ? "" : " in the environment " + environment),
                    core::did_you_mean(which, all));
}

Outcome unbind(Context& context) {
  const auto flag = context.args().text("binding");
  const std::string which = flag ? *flag : std::string(context.args().positional(0));
  if (which.empty()) {
    return core::usage("Not enough arguments: `hyperdrive unbind` needs a binding or a config.",
                       "`hyperdrive bindings` lists what is bound here.");
  }
  auto file = need_wrangler_file(context);
  if (!file) return tl::unexpected(file.error());
  if (auto fine = check_environment(context, *file); !fine) return tl::unexpected(fine.error());
  auto names = meant(context, *file, which, flag.has_value());
  if (!names) return tl::unexpected(names.error());

  const std::string shown = display_path(file->path);
  const std::string environment = context.environment();
  auto changed =
      wrangler::edit_file(file->path, [&](std::string_view text) -> core::Result<std::string> {
        std::string edited(text);
        for (const std::string& name : *names) {
          auto next = wrangler::unbind(edited, file->format, {shown, environment}, name);
          if (!next) return next;
          edited = std::move(*next);
        }
        return edited;
      });
  if (!changed) return tl::unexpected(changed.error());
  context.out().document_if_json(
      {{"file", file->path.string()}, {"environment", environment}, {"removed", *names}});
  for (const std::string& name : *names) {
    context.out().say(fmt::format("✅ {} no longer binds {}{}", shown, name,
                                  environment.empty() ? "" : " in the environment " + environment));
  }
  return 0;
}

}  // namespace

const Command kUnbind{
    .path = "unbind",
    .summary = "Remove a binding from the wrangler file here",
    .positionals = kPositionals,
    .flags = kFlags,
    .examples = kExamples,
    .run = unbind,
};

}  // namespace hyperdrive::cli
