// `hyperdrive list`: wrangler's table, and whether a proxy runs.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/live.hpp"
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

std::vector<std::string> row_of(const core::Config& config, const RunningProxies& running) {
  return {config.id,
          printable(config.name),
          printable(config.origin.user),
          printable(config.origin.host),
          port_text(config.origin.port),
          std::string(core::scheme_title(config.origin.scheme)),
          printable(config.origin.database),
          caching_text(config.caching),
          mtls_text(config),
          std::to_string(config.origin_connection_limit),
          fmt::format("{} {}", config.local.local_port,
                      running.contains(config.id) ? "running" : "stopped")};
}

/// The array as Output::document would print it; an object at a time, since there may be many.
std::string array_text(const std::vector<core::Config>& configs) {
  if (configs.empty()) return "[]\n";
  std::string text = "[";
  for (const core::Config& config : configs) {
    text += text.size() > 1 ? ",\n  " : "\n  ";
    const std::string object = core::public_json(config).dump(
        2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    for (std::size_t at = 0; at < object.size();) {
      const std::size_t end = std::min(object.find('\n', at), object.size());
      text.append(object, at, end - at);
      if (end < object.size()) text += "\n  ";
      at = end + 1;
    }
  }
  return text += "\n]\n";
}

Outcome list(Context& context) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  auto configs = (*registry)->list();
  if (!configs) return tl::unexpected(configs.error());
  Output& out = context.out();
  if (out.json()) {
    out.print_raw(array_text(*configs));
    return 0;
  }
  out.say("📋 Listing Hyperdrive configs");
  if (configs->empty()) {
    out.note("There is none yet: hyperdrive create <name> --connection-string …");
    return 0;
  }
  const RunningProxies running = running_proxies((*registry)->home());
  Table table{.columns = {"id", "name", "user", "host", "port", "scheme", "database", "caching",
                          "mtls", "origin_connection_limit", "local"}};
  for (const core::Config& config : *configs) table.rows.push_back(row_of(config, running));
  out.print(draw(table, out.width()));
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
