// `hyperdrive status`: which proxies run, and how they are.
#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/live.hpp"
#include "cli/output/json_array.hpp"
#include "cli/output/table.hpp"
#include "core/config/connection_string.hpp"
#include "core/config/json_writers.hpp"
#include "core/process/admin_client.hpp"
#include "core/process/proxy.hpp"

namespace hyperdrive::cli {
namespace {
using nlohmann::ordered_json;
using namespace std::string_view_literals;

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

ordered_json status_of(const core::Home& home, const core::Config& config,
                       const RunningProxies& with_files) {
  auto state = with_files.contains(config.id) ? core::proxy_state(home, config.id)
                                              : core::Result<core::ProxyState>(core::ProxyState{});
  if (!state) {
    return {{"id", config.id},
            {"name", config.name},
            {"state", "unknown"},
            {"error", state.error().message}};
  }
  core::Config reached = config;
  adopt_address(reached, *state);
  ordered_json json{{"id", config.id},
                    {"name", config.name},
                    {"state", phase_name(*state)},
                    {"address", core::local_address(reached)},
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

/// What `status_of` says of a config without any file, straight as text: there may be very many.
void append_stopped(const core::Config& config, std::size_t indent, std::string& text) {
  core::JsonTextWriter out(text, indent);
  out.field("id", config.id);
  out.field("name", config.name);
  out.field("state", "stopped"sv);
  out.field("address", core::local_address(config));
  out.field("pid", 0);
  out.field("port", 0);
  out.field("started_at", ""sv);
  out.field("version", ""sv);
  out.close();
}

std::string number(const ordered_json& proxy, const char* key) {
  const auto found = proxy.find(key);
  return found != proxy.end() && found->is_number() ? found->dump() : "";
}

/// What a proxy has to tell, a line each: that it does not answer, the last error of its origin,
/// what the cache warns of, where its dashboard is. Below the table, as such texts are longer than
/// a terminal is wide.
std::vector<std::string> notes_of(const ordered_json& status) {
  const std::string name = printable(status["name"].get<std::string>());
  std::vector<std::string> lines;
  const auto add = [&](std::string_view what, const std::string& text) {
    lines.push_back(fmt::format("{}: {}: {}", name, what, printable(text)));
  };
  if (status.contains("error")) add("error", status["error"].get<std::string>());
  const auto proxy = status.value("proxy", ordered_json::object());
  const auto origin = proxy.value("origin", ordered_json::object());
  const auto error = origin.value("last_error", ordered_json());
  if (error.is_object()) {
    const std::string hint = error.value("hint", "");
    add("last error", error.value("message", "") + (hint.empty() ? "" : " " + hint));
  }
  for (const auto& warning : proxy.value("warnings", ordered_json::array())) {
    if (warning.is_string()) add("warning", warning.get<std::string>());
  }
  if (const auto dashboard = proxy.value("dashboard", ""); !dashboard.empty()) {
    add("dashboard", dashboard);
  }
  return lines;
}

std::vector<std::string> row_of(const ordered_json& status) {
  const auto proxy = status.value("proxy", ordered_json::object());
  return {printable(status["name"].get<std::string>()),
          proxy.value("state", status["state"].get<std::string>()),
          printable(status.value("address", "")),
          status.value("pid", 0) == 0 ? "" : std::to_string(status.value("pid", 0)),
          number(proxy, "clients"),
          number(proxy, "origin_connections"),
          number(proxy, "waiting")};
}

using Visit = std::function<void(const core::Config&)>;

/// The one that is named; with --all every config, else those with a state file.
core::Result<void> each_wanted(Context& context, const Visit& visit) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  const auto which = context.args().positional(0);
  if (!which.empty()) {
    auto config = (*registry)->find(which);
    if (!config) return tl::unexpected(config.error());
    visit(*config);
    return {};
  }
  if (context.args().on("all")) return (*registry)->each(visit);
  for (const std::string& id : proxies_with_state((*registry)->home())) {
    auto config = (*registry)->look_up(id);
    if (!config) return tl::unexpected(config.error());
    if (*config) visit(**config);
  }
  return {};
}

Outcome print_json(Context& context, const core::Home& home, const RunningProxies& with_files) {
  Output& out = context.out();
  if (!context.args().positional(0).empty()) {
    auto done = each_wanted(context, [&](const core::Config& config) {
      out.document(status_of(home, config, with_files));
    });
    return done ? Outcome(0) : tl::unexpected(done.error());
  }
  JsonArray array(out);
  auto done = each_wanted(context, [&](const core::Config& config) {
    if (with_files.contains(config.id)) {
      array.add(status_of(home, config, with_files));
    } else {
      append_stopped(config, array.inner(), array.next());
    }
  });
  if (!done) return tl::unexpected(done.error());
  array.finish();
  return 0;
}

Outcome status(Context& context) {
  auto home = context.home();
  if (!home) return tl::unexpected(home.error());
  const RunningProxies with_files = ids_with_files(*home);
  Output& out = context.out();
  if (out.json()) return print_json(context, *home, with_files);
  Table table{"name", "state", "address", "pid", "clients", "origin connections", "waiting"};
  std::vector<std::string> lines;
  auto done = each_wanted(context, [&](const core::Config& config) {
    if (with_files.contains(config.id)) {
      const auto status = status_of(*home, config, with_files);
      table.add(row_of(status));
      for (std::string& line : notes_of(status)) lines.push_back(std::move(line));
    } else {
      table.add({printable(config.name), "stopped", printable(core::local_address(config)), "", "",
                 "", ""});
    }
  });
  if (!done) return tl::unexpected(done.error());
  if (table.empty()) {
    out.say("No proxy is running. Start one: hyperdrive start <config>");
    return 0;
  }
  draw(table, out.width(), [&out](std::string_view piece) { out.print_raw(piece); });
  for (const std::string& line : lines) out.print(line);
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
