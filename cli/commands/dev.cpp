// `hyperdrive dev [config…] [-- command…]`: proxies in the foreground, a line a query.
#include <fmt/format.h>
#include <signal.h>

#include <chrono>
#include <thread>

#include "cli/bound_configs.hpp"
#include "cli/child.hpp"
#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/dev_proxies.hpp"
#include "cli/interrupt.hpp"
#include "core/config/connection_string.hpp"

namespace hyperdrive::cli {
namespace {

constexpr Positional kPositionals[] = {{.name = "config",
                                        .help = "Names or ids of configs; default: every binding "
                                                "of the wrangler file here",
                                        .required = false,
                                        .many = true,
                                        .offer = Offer::kConfigs}};

constexpr Example kExamples[] = {
    {"hyperdrive dev -- npx wrangler dev", "your Worker, through the pool and the cache"},
    {"hyperdrive dev prod-db", "one proxy; connect to it with `hyperdrive url prod-db`"},
    {"hyperdrive dev -e staging -- npx wrangler dev -e staging", "an environment's bindings"},
};

core::Result<std::vector<BoundConfig>> configs_of(Context& context) {
  const auto& names = context.args().positionals();
  if (names.empty()) return bound_configs(context, {});
  std::vector<BoundConfig> all;
  for (const std::string& name : names) {
    auto bound = bound_configs(context, name);
    if (!bound) {
      core::Error error = bound.error();
      // `hyperdrive dev npx wrangler dev` is what people type.
      if (error.code == core::code::kNoSuchConfig && context.args().rest().empty()) {
        error.hint += fmt::format("{}A command goes after two dashes: hyperdrive dev -- {} …",
                                  error.hint.empty() ? "" : "\n", name);
      }
      return tl::unexpected(std::move(error));
    }
    for (BoundConfig& one : *bound) all.push_back(std::move(one));
  }
  return all;
}

/// Whoever stops or deletes it elsewhere ends it as a crash does.
std::string ended_text(const std::string& name) {
  return fmt::format("The proxy of '{}' has ended: by itself, or stopped from elsewhere.",
                     printable(name));
}

/// Until a signal comes or a proxy of ours ends.
Outcome stay(Context& context, DevProxies& proxies, const InterruptFlag& interrupted) {
  context.out().note("Ctrl-C ends it.");
  while (!interrupted.raised()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (auto kept = proxies.take_over(); !kept) return tl::unexpected(kept.error());
    if (const std::string name = proxies.ended(); !name.empty()) {
      return core::fail(ended_text(name), fmt::format("Its last words: hyperdrive logs {}", name));
    }
  }
  return interrupted.signal() == SIGINT ? static_cast<int>(core::Exit::kInterrupted)
                                        : 128 + interrupted.signal();
}

Outcome run_command(Context& context, const std::vector<BoundConfig>& bound, DevProxies& proxies,
                    InterruptFlag& interrupted) {
  ExtraEnvironment environment;
  for (const BoundConfig& one : bound) {
    environment.emplace_back(local_variable(one.binding),
                             core::local_connection_string(proxies.listening(one)).reveal());
  }
  auto child = Child::start(context.args().rest(), environment);
  if (!child) return tl::unexpected(child.error());
  bool well = true;
  while (true) {
    if (const auto code = child->poll()) return *code;
    if (well) {
      // The command goes on without its database: it is the user's to end.
      const auto kept = proxies.take_over();
      const std::string name = kept ? proxies.ended() : "";
      well = kept && name.empty();
      if (!kept) context.out().warn(kept.error().message);
      if (!name.empty()) {
        context.out().warn(
            fmt::format("{} Its last words: hyperdrive logs {}", ended_text(name), name));
      }
    }
    if (interrupted.raised()) {
      child->send(interrupted.signal());
      interrupted.clear();
    }
  }
}

Outcome dev(Context& context) {
  auto bound = configs_of(context);
  if (!bound) return tl::unexpected(bound.error());
  InterruptFlag interrupted;
  DevProxies proxies(context);
  if (auto started = proxies.start(*bound); !started) return tl::unexpected(started.error());
  proxies.watch();
  Outcome outcome = context.args().rest().empty()
                        ? stay(context, proxies, interrupted)
                        : run_command(context, *bound, proxies, interrupted);
  proxies.stop();
  return outcome;
}

}  // namespace

const Command kDev{
    .path = "dev",
    .summary = "Run proxies in the foreground, and your dev server with them",
    .details =
        "Prints one line for each query: HIT, MISS or why it was not cached, the time, the rows. "
        "The command sees CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_<BINDING> for each "
        "binding; its exit code is ours.",
    .positionals = kPositionals,
    .examples = kExamples,
    .run = dev,
    .takes_command = true,
};

}  // namespace hyperdrive::cli
