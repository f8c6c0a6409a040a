// `hyperdrive status`: which proxies run, and how they are.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/live.hpp"
#include "cli/output/table.hpp"
#include "core/config/connection_string.hpp"
#include "core/process/admin_client.hpp"
#include "core/process/proxy.hpp"

namespace hyperdrive::cli {
namespace {
using nlohmann::ordered_json;

constexpr Positional kPositionals[] = {{.name = "config",
                                        .help = "Name or id of a Hyperdrive config; default: all "
                                                "whose proxy runs or crashed",
                                        .required = false,
                                        .offer = Offer::kConfigs}};

constexpr Flag kFlags[] = {
    {.name = "all", .kind = FlagKind::kBoolean, .help = "Stopped ones too"},
};

constexpr Example kExamples[] = {
    {"hyperdrive status", "what runs"},
    {"hyperdrive status prod-db --json", "one config, for programs"},
};

std::string_view phase_name(const core::ProxyState& state) {
  switch (state.phase) {
    case core::ProxyPhase::kRunning:
      return "running";
    case core::ProxyPhase::kStarting:
      return "starting";
    case core::ProxyPhase::kStopped:
      break;
  }
  return state.crashed ? "crashed" : "stopped";
}

/// Ids with any file in the run folder: what has none cannot run, which spares a look at each of
/// many.
RunningProxies ids_with_files(const core::Home& home) {
  RunningProxies ids;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(home.run(), error)) {
    ids.insert(entry.path().stem().string());
  }
  return ids;
}

core::Result<core::ProxyState> state_of(const core::Home& home, const core::Config& config,
                                        const RunningProxies& with_files) {
  if (!with_files.contains(config.id)) return core::ProxyState{};
  return core::proxy_state(home, config.id);
}

ordered_json status_of(const core::Home& home, const core::Config& config,
                       const RunningProxies& with_files) {
  auto state = state_of(home, config, with_files);
  if (!state) {
    return {{"id", config.id},
            {"name", config.name},
            {"state", "unknown"},
            {"error", state.error().message}};
  }
  ordered_json json{{"id", config.id},
                    {"name", config.name},
                    {"state", phase_name(*state)},
                    {"address", core::local_address(config)},
                    {"pid", state->pid},
                    {"port", state->port},
                    {"started_at", state->started_at},
                    {"version", state->version}};
  if (state->phase != core::ProxyPhase::kRunning) return json;
  core::AdminClient proxy(state->admin_socket, std::chrono::seconds(2));
  auto body = proxy.get_body("/v1/status");
  if (!body) {
    json["state"] = "not answering";
    json["error"] = body.error().message;
    return json;
  }
  auto live = ordered_json::parse(*body, nullptr, false);
  if (live.is_object()) json["proxy"] = std::move(live);
  return json;
}

std::string number(const ordered_json& proxy, const char* key) {
  const auto found = proxy.find(key);
  return found != proxy.end() && found->is_number() ? found->dump() : "";
}

/// The last error of the origin, if the proxy tells of one; else what the cache warns of.
std::string trouble(const ordered_json& status) {
  if (status.contains("error")) return status["error"].get<std::string>();
  const auto proxy = status.value("proxy", ordered_json::object());
  const auto origin = proxy.value("origin", ordered_json::object());
  const auto error = origin.value("last_error", ordered_json());
  if (error.is_object()) return error.value("message", "");
  std::string all;
  for (const auto& warning : proxy.value("warnings", ordered_json::array())) {
    if (warning.is_string()) all += (all.empty() ? "" : " ") + warning.get<std::string>();
  }
  return all;
}

std::vector<std::string> row_of(const ordered_json& status) {
  const auto proxy = status.value("proxy", ordered_json::object());
  return {printable(status["name"].get<std::string>()),
          proxy.value("state", status["state"].get<std::string>()),
          printable(status.value("address", "")),
          status.value("pid", 0) == 0 ? "" : std::to_string(status.value("pid", 0)),
          number(proxy, "clients"),
          number(proxy, "origin_connections"),
          number(proxy, "waiting"),
          printable(trouble(status))};
}

core::Result<std::vector<core::Config>> wanted(Context& context) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  const auto which = context.args().positional(0);
  if (!which.empty()) {
    auto config = (*registry)->find(which);
    if (!config) return tl::unexpected(config.error());
    return std::vector{std::move(*config)};
  }
  if (context.args().on("all")) return (*registry)->list();
  std::vector<core::Config> known;
  for (const std::string& id : proxies_with_state((*registry)->home())) {
    auto config = (*registry)->look_up(id);
    if (!config) return tl::unexpected(config.error());
    if (*config) known.push_back(std::move(**config));
  }
  return known;
}

Outcome status(Context& context) {
  auto configs = wanted(context);
  if (!configs) return tl::unexpected(configs.error());
  auto home = context.home();
  if (!home) return tl::unexpected(home.error());
  Output& out = context.out();
  ordered_json all = ordered_json::array();
  const RunningProxies with_files = ids_with_files(*home);
  for (const core::Config& config : *configs) {
    all.push_back(status_of(*home, config, with_files));
  }
  const bool one = !context.args().positional(0).empty();
  out.document_if_json(one ? all[0] : all);
  if (all.empty()) {
    out.say("No proxy is running. Start one: hyperdrive start <config>");
    return 0;
  }
  Table table{"name",    "state",     "address", "pid", "clients", "origin connections",
              "waiting", "last error"};
  for (const ordered_json& json : all) table.add(row_of(json));
  out.print(draw(table, out.width()));
  return 0;
}

}  // namespace

const Command kStatus{
    .path = "status",
    .summary = "Show which proxies run",
    .positionals = kPositionals,
    .flags = kFlags,
    .examples = kExamples,
    .run = status,
};

}  // namespace hyperdrive::cli
