// `hyperdrive start`, `stop`, `restart`: the proxies in the background.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/launching.hpp"
#include "cli/live.hpp"
#include "cli/output/progress.hpp"
#include "core/config/connection_string.hpp"
#include "core/config/suggest.hpp"
#include "core/process/proxy.hpp"

namespace hyperdrive::cli {
namespace {
using nlohmann::ordered_json;

constexpr Positional kConfigs[] = {{.name = "config",
                                    .help = "Names or ids of Hyperdrive configs",
                                    .many = true,
                                    .offer = Offer::kConfigs}};

constexpr Flag kStartFlags[] = {
    {.name = "origin-password-file",
     .help = "For a config that has no password yet (a pulled one): the file that holds it",
     .offer = Offer::kFiles},
};

constexpr Flag kStopFlags[] = {
    {.name = "force",
     .kind = FlagKind::kBoolean,
     .help = "End it at once: what runs is cancelled instead of waited for"},
};

constexpr Example kStartExamples[] = {
    {"hyperdrive start prod-db", "returns when it accepts connections"},
    {"psql \"$(hyperdrive url prod-db)\"", "a client of it"},
};
constexpr Example kStopExamples[] = {{"hyperdrive stop prod-db", "queries that run may end"}};
constexpr Example kRestartExamples[] = {{"hyperdrive restart prod-db", "no query is cut"}};

using Work = core::Result<ordered_json> (*)(Context&, const core::Config&);

/// One after the other; the first error ends it.
Outcome for_each_config(Context& context, Work work) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  ordered_json done = ordered_json::array();
  for (const std::string& which : context.args().positionals()) {
    auto config = (*registry)->find(which);
    if (!config) return tl::unexpected(config.error());
    auto result = work(context, *config);
    if (!result) return tl::unexpected(result.error());
    done.push_back(std::move(*result));
  }
  context.out().document_if_json(done.size() == 1 ? done[0] : done);
  return 0;
}

ordered_json started_json(const core::Config& config, const core::Started& started) {
  return {{"id", config.id},
          {"name", config.name},
          {"pid", started.pid},
          {"port", started.port},
          {"already_running", started.already_running}};
}

core::Result<ordered_json> start_one(Context& context, const core::Config& config) {
  auto launch = launch_of(context, config);
  if (!launch) return tl::unexpected(launch.error());
  auto home = context.home();
  if (!home) return tl::unexpected(home.error());
  core::Result<core::Started> started = [&] {
    const Progress progress(context.out(), fmt::format("Starting the proxy of {}", config.name));
    return core::start_proxy(*home, std::move(*launch));
  }();
  if (!started) return tl::unexpected(started.error());
  core::Config running = config;
  const bool elsewhere = adopt_running_address(*home, running);
  context.out().say(
      fmt::format("✅ {} {} at {}{}", config.name,
                  started->already_running ? "already accepts connections" : "accepts connections",
                  core::local_address(running),
                  elsewhere ? fmt::format(" (at {} after: hyperdrive restart {})",
                                          core::local_address(config), core::shell_word(config))
                            : ""));
  return started_json(config, *started);
}

core::Result<ordered_json> restart_one(Context& context, const core::Config& config) {
  auto launch = launch_of(context, config);
  if (!launch) return tl::unexpected(launch.error());
  auto home = context.home();
  if (!home) return tl::unexpected(home.error());
  core::Result<core::Started> started = [&] {
    const Progress progress(context.out(), fmt::format("Restarting the proxy of {}", config.name));
    return core::restart_proxy(*home, std::move(*launch));
  }();
  if (!started) return tl::unexpected(started.error());
  context.out().say(
      fmt::format("✅ {} accepts connections at {}", config.name, core::local_address(config)));
  return started_json(config, *started);
}

core::Result<ordered_json> stop_one(Context& context, const core::Config& config) {
  auto home = context.home();
  if (!home) return tl::unexpected(home.error());
  const auto patience = config.local.drain_timeout + core::kAfterDrain;
  const auto before = core::proxy_state(*home, config.id);
  auto stopped = [&] {
    const Progress progress(context.out(), fmt::format("Stopping the proxy of {}", config.name));
    return context.args().on("force") ? core::kill_proxy(*home, config.id)
                                      : core::stop_proxy(*home, config.id, patience);
  }();
  if (!stopped) return tl::unexpected(stopped.error());
  const bool crashed = before && before->crashed;
  context.out().say(*stopped ? fmt::format("✅ {} is stopped", config.name)
                             : fmt::format("{} was not running{}", config.name,
                                           crashed ? ": it had ended unexpectedly" : ""));
  return ordered_json{{"id", config.id}, {"name", config.name}, {"was_running", *stopped}};
}

}  // namespace

const Command kStart{
    .path = "start",
    .summary = "Start a config's proxy in the background",
    .details = "Returns when the proxy accepts connections, or says why it does not.",
    .positionals = kConfigs,
    .flags = kStartFlags,
    .examples = kStartExamples,
    .run = [](Context& context) { return for_each_config(context, start_one); },
};

const Command kStop{
    .path = "stop",
    .summary = "Stop a config's proxy",
    .details = "New connections are refused, transactions that run may end, then it exits.",
    .positionals = kConfigs,
    .flags = kStopFlags,
    .examples = kStopExamples,
    .run = [](Context& context) { return for_each_config(context, stop_one); },
};

const Command kRestart{
    .path = "restart",
    .summary = "Restart a config's proxy without cutting a query",
    .details = "A new proxy takes over the listening socket, then the old one drains.",
    .positionals = kConfigs,
    .flags = kStartFlags,
    .examples = kRestartExamples,
    .run = [](Context& context) { return for_each_config(context, restart_one); },
};

}  // namespace hyperdrive::cli
