// `hyperdrive env`: the variables with which wrangler and workerd find the local proxies.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/bound_configs.hpp"
#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/live.hpp"
#include "cli/wrangler_file.hpp"
#include "core/config/connection_string.hpp"
#include "core/wrangler/dotenv.hpp"
#include "core/wrangler/file.hpp"

namespace hyperdrive::cli {
namespace {

using Variables = std::vector<std::pair<std::string, std::string>>;

constexpr Flag kFlags[] = {
    {.name = "write",
     .help = "Set the lines in this .env file instead of printing them",
     .offer = Offer::kFiles},
};

constexpr Positional kPositionals[] = {
    {.name = "config",
     .help = "Only this config, under the default binding's name if nothing here binds it",
     .required = false,
     .offer = Offer::kConfigs}};

constexpr Example kExamples[] = {
    {"export $(hyperdrive env)", "into the shell, for every binding of the wrangler file here"},
    {"hyperdrive env --write .env", "where `wrangler dev` reads it by itself"},
};

core::Result<Variables> variables(Context& context) {
  auto bound = bound_configs(context, context.args().positional(0));
  if (!bound) return tl::unexpected(bound.error());
  auto home = context.home();
  if (!home) return tl::unexpected(home.error());
  Variables lines;
  for (BoundConfig& one : *bound) {
    if (one.temporary) {
      // Nothing would ever listen there: only `dev` makes a proxy for it.
      context.out().note(
          fmt::format("{} is left out: its id is not known here. wrangler connects to its "
                      "localConnectionString; `hyperdrive dev` puts a proxy between.",
                      one.binding));
      continue;
    }
    adopt_running_address(*home, one.config);
    lines.emplace_back(local_variable(one.binding),
                       core::local_connection_string(one.config).reveal());
  }
  if (!lines.empty()) return lines;
  return core::fail("No binding here has a config of this machine.",
                    "`hyperdrive pull ID` fetches one of your Cloudflare account, `hyperdrive bind "
                    "<config>` binds one that you have.");
}

Outcome write(Context& context, const std::string& file, const Variables& lines) {
  auto changed = core::wrangler::edit_or_create_file(
      file, 0600, [&](std::string_view text) -> core::Result<std::string> {
        return core::wrangler::set_dotenv(text, lines);
      });
  if (!changed) return tl::unexpected(changed.error());
  context.out().say(
      fmt::format("{} {} {}.", file, *changed ? "now sets" : "already set",
                  lines.size() == 1 ? lines[0].first : fmt::format("{} variables", lines.size())));
  return 0;
}

Outcome env(Context& context) {
  auto lines = variables(context);
  if (!lines) return tl::unexpected(lines.error());
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [name, value] : *lines) json[name] = value;
  context.out().document_if_json(json);
  if (const auto file = context.args().text("write")) return write(context, *file, *lines);
  std::string text = core::wrangler::set_dotenv("", *lines);
  if (text.ends_with('\n')) text.pop_back();
  context.out().print(text);
  return 0;
}

}  // namespace

const Command kEnv{
    .path = "env",
    .summary = "Print or write the environment lines for wrangler dev",
    .positionals = kPositionals,
    .flags = kFlags,
    .examples = kExamples,
    .run = env,
};

}  // namespace hyperdrive::cli
