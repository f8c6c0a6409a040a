// `hyperdrive url`: the local connection string, alone on standard output.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/live.hpp"
#include "core/config/connection_string.hpp"
#include "core/config/suggest.hpp"

namespace hyperdrive::cli {
namespace {

constexpr Positional kPositionals[] = {
    {.name = "config", .help = "Name or id of the Hyperdrive config", .offer = Offer::kConfigs}};

constexpr Example kExamples[] = {
    {"psql \"$(hyperdrive url prod-db)\"", "through the proxy, once it is started"},
};

Outcome url(Context& context) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  auto config = (*registry)->find(context.args().positional(0));
  if (!config) return tl::unexpected(config.error());
  if (auto opened = (*registry)->unseal(*config); !opened) return tl::unexpected(opened.error());
  const std::string wanted = core::local_address(*config);
  if (adopt_running_address((*registry)->home(), *config)) {
    context.out().note(
        fmt::format("The proxy runs at {} until it is restarted; then at {}: "
                    "hyperdrive restart {}",
                    core::local_address(*config), wanted, core::shell_word(*config)));
  }
  const core::Secret text = core::local_connection_string(*config);
  context.out().document_if_json({{"name", config->name}, {"url", text.reveal()}});
  context.out().print(text.reveal());
  return 0;
}

}  // namespace

const Command kUrl{
    .path = "url",
    .summary = "Print the local connection string",
    .details =
        "The user and password in it are the local proxy's, not the database's. While the proxy "
        "runs, the address is the one it listens on: a changed --local-port holds from the next "
        "restart on.",
    .positionals = kPositionals,
    .examples = kExamples,
    .run = url,
};

}  // namespace hyperdrive::cli
