// `hyperdrive dev [config…] [-- command…]`: proxies in the foreground, a line a query.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <map>
#include <thread>

#include "cli/bound_configs.hpp"
#include "cli/child.hpp"
#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/dev_proxies.hpp"
#include "cli/interrupt.hpp"
#include "core/config/connection_string.hpp"
#include "core/config/suggest.hpp"
#include "core/wrangler/binding.hpp"

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

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

/// Several configs that nothing here binds cannot all be HYPERDRIVE: each is called as its config.
void name_apart(Context& context, std::vector<BoundConfig>& all) {
  const auto is_unbound = [](const BoundConfig& one) { return one.unbound; };
  if (std::count_if(all.begin(), all.end(), is_unbound) < 2) return;
  for (BoundConfig& one : all) {
    if (!one.unbound) continue;
    one.binding = upper(core::wrangler::valid_binding_name(one.config.name));
    if (context.args().rest().empty()) continue;
    context.out().note(fmt::format("No wrangler file here binds {}; the command finds it in {}.",
                                   printable(one.config.name), local_variable(one.binding)));
  }
}

/// One variable cannot lead to two databases.
core::Result<void> check_apart(const std::vector<BoundConfig>& all) {
  std::map<std::string_view, const BoundConfig*> holders;
  for (const BoundConfig& one : all) {
    const auto [holder, fresh] = holders.emplace(one.binding, &one);
    if (fresh || holder->second->config.id == one.config.id) continue;
    const std::string& first = holder->second->config.name;
    return core::fail(
        fmt::format("'{}' and '{}' would both be the binding {}: the command would see one of them "
                    "only.",
                    first, one.config.name, one.binding),
        fmt::format("Bind them under names of their own: hyperdrive bind {} --binding OTHER",
                    core::shell_word(one.config)));
  }
  return {};
}

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
    const bool again = std::any_of(all.begin(), all.end(), [&](const BoundConfig& one) {
      return one.config.id == bound->front().config.id;
    });
    if (again) continue;
    for (BoundConfig& one : *bound) all.push_back(std::move(one));
  }
  name_apart(context, all);
  if (auto apart = check_apart(all); !apart) return tl::unexpected(apart.error());
  return all;
}

/// Whoever stops or deletes it elsewhere ends it as a crash does.
std::string ended_text(const std::string& name) {
  return fmt::format("The proxy of '{}' has ended: by itself, or stopped from elsewhere.",
                     printable(name));
}

std::string last_words(const std::string& name) {
  return fmt::format("Its last words: hyperdrive logs {}", core::shell_word(name));
}

/// Until a signal comes or a proxy of ours ends.
Outcome stay(Context& context, DevProxies& proxies, const InterruptFlag& interrupted) {
  context.out().note("Ctrl-C ends it.");
  while (!interrupted.raised()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (auto kept = proxies.take_over(); !kept) return tl::unexpected(kept.error());
    if (const std::string name = proxies.ended(); !name.empty()) {
      return core::fail(ended_text(name), last_words(name));
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
        context.out().warn(fmt::format("{} {}", ended_text(name), last_words(name)));
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
        "binding; its exit code is ours. A config that no wrangler file here binds is "
        "HYPERDRIVE; of several each is called as its config (prod-db: PROD_DB).",
    .positionals = kPositionals,
    .examples = kExamples,
    .run = dev,
    .takes_command = true,
};

}  // namespace hyperdrive::cli
