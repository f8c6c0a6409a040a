// `hyperdrive list`: wrangler's table, and whether a proxy runs.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/live.hpp"
#include "cli/output/json_array.hpp"
#include "cli/output/table.hpp"
#include "core/config/json.hpp"
#include "core/config/text.hpp"

namespace hyperdrive::cli {
namespace {

constexpr Example kExamples[] = {
    {"hyperdrive list", "a table"},
    {"hyperdrive list --json | jq -r '.[].name'", "for programs"},
};

std::string caching_text(const core::Caching& caching) {
  if (caching.disabled) return "disabled";
  if (!caching.max_age && !caching.stale_while_revalidate) return "enabled";
  const int max_age = caching.max_age.value_or(core::kDefaultMaxAge);
  const int swr = caching.stale_while_revalidate.value_or(core::kDefaultStaleWhileRevalidate);
  return fmt::format("max_age: {}, stale_while_revalidate: {}", max_age,
                     swr == 0 ? std::string("disabled") : std::to_string(swr));
}

std::string port_text(std::uint16_t port) { return port == 0 ? "" : std::to_string(port); }

std::string mtls_text(const core::Config& config) {
  const core::Tls& tls = config.tls;
  const bool any = tls.mode != core::SslMode::kDefault || !tls.ca_certificate_id.empty() ||
                   !tls.mtls_certificate_id.empty();
  if (!any) return {};
  const auto json = core::public_json(config);
  return json.contains("mtls") ? json["mtls"].dump() : "";
}

/// The port where its proxy listens, or would. `traces`: the ids that have a state file.
std::string local_text(const core::Home& home, const core::Config& config,
                       const RunningProxies& traces) {
  core::Config reached = config;
  std::string_view how = "stopped";
  if (traces.contains(config.id)) {
    const auto state = core::proxy_state(home, config.id);
    if (state && state->crashed) how = "crashed";
    if (state && state->phase != core::ProxyPhase::kStopped) {
      adopt_address(reached, *state);
      how = "running";
    }
  }
  return fmt::format("{} {}", reached.local.local_port, how);
}

void add_row(Table& table, const core::Home& home, const core::Config& config,
             const RunningProxies& traces) {
  const core::Origin& origin = config.origin;
  table.add({config.id, printable(config.name), printable(origin.user), printable(origin.host),
             port_text(origin.port), core::scheme_title(origin.scheme), printable(origin.database),
             caching_text(config.caching), mtls_text(config),
             std::to_string(config.origin_connection_limit), local_text(home, config, traces)});
}

Outcome print_array(core::Registry& registry, Output& out) {
  JsonArray array(out);
  auto done = registry.each([&array](const core::Config& config) {
    core::append_public_json(config, array.inner(), array.next());
  });
  if (!done) return tl::unexpected(done.error());
  array.finish();
  return 0;
}

Outcome list(Context& context) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  Output& out = context.out();
  if (out.json()) return print_array(**registry, out);
  const core::Home& home = (*registry)->home();
  const RunningProxies traces = proxies_with_state(home);
  Table table{"id",     "name",     "user",    "host", "port",
              "scheme", "database", "caching", "mtls", "origin_connection_limit",
              "local"};
  if (auto rows = (*registry)->count()) table.reserve(*rows);
  auto done =
      (*registry)->each([&](const core::Config& config) { add_row(table, home, config, traces); });
  if (!done) return tl::unexpected(done.error());
  out.say("📋 Listing Hyperdrive configs");
  if (table.empty()) {
    out.note("There is none yet: hyperdrive create <name> --connection-string …");
    return 0;
  }
  draw(table, out.width(), [&out](std::string_view piece) { out.print_raw(piece); });
  return 0;
}

}  // namespace

const Command kList{
    .path = "list",
    .summary = "List Hyperdrive configs",
    .examples = kExamples,
    .run = list,
};

}  // namespace hyperdrive::cli
