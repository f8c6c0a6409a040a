#include "cli/live.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "core/config/json.hpp"
#include "core/process/admin_client.hpp"

namespace hyperdrive::cli {

RunningProxies proxies_with_state(const core::Home& home) {
  RunningProxies ids;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(home.run(), error)) {
    if (entry.path().extension() == ".json") ids.insert(entry.path().stem().string());
  }
  return ids;
}

RunningProxies running_proxies(const core::Home& home) {
  RunningProxies running = proxies_with_state(home);
  std::erase_if(running, [&home](const std::string& id) {
    const auto state = core::proxy_state(home, id);
    return !state || state->phase == core::ProxyPhase::kStopped;
  });
  return running;
}

core::Result<void> tell_running_proxy(Context& context, const core::Config& config,
                                      const ConfigEdit& edit) {
  auto home = context.home();
  if (!home) return tl::unexpected(home.error());
  auto state = core::proxy_state(*home, config.id);
  if (!state) return tl::unexpected(state.error());
  if (state->phase != core::ProxyPhase::kRunning) return {};

  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  auto launch = (*registry)->launch(config.id);
  if (!launch) return tl::unexpected(launch.error());
  core::AdminClient proxy(state->admin_socket);
  auto answer = proxy.post("/v1/reload", core::launch_json(*launch));
  const std::string restart = fmt::format("hyperdrive restart {}", config.name);
  if (!answer) {
    context.out().warn(
        fmt::format("The change is stored, but the running proxy could not be told: "
                    "{} It takes effect with: {}",
                    answer.error().message, restart));
    return {};
  }
  if (answer->status / 100 != 2) {
    context.out().warn(
        fmt::format("The change is stored, but the running proxy did not take it "
                    "(HTTP {}). It takes effect with: {}",
                    answer->status, restart));
    return {};
  }
  std::string waiting;
  ConfigEdit taken = edit;
  taken.settings.clear();
  for (const auto& one : edit.settings) {
    if (one.first->live) {
      taken.settings.push_back(one);
    } else {
      waiting += fmt::format("{}--{}", waiting.empty() ? "" : ", ", one.first->flag);
    }
  }
  if (waiting.empty()) {
    context.out().note("The running proxy has taken the change.");
  } else {
    context.out().note(fmt::format("{}For {}: {}",
                                   taken.empty() ? "" : "The running proxy has taken the rest. ",
                                   waiting, restart));
  }
  return {};
}

bool adopt_address(core::Config& config, const core::ProxyState& state) {
  if (state.phase == core::ProxyPhase::kStopped || state.port == 0) return false;
  core::LocalSettings& local = config.local;
  const std::string listen = state.listen.value_or(local.listen);
  const bool other = local.local_port != state.port || local.listen != listen;
  local.local_port = state.port;
  local.listen = listen;
  return other;
}

bool adopt_running_address(const core::Home& home, core::Config& config) {
  const auto state = core::proxy_state(home, config.id);
  return state && adopt_address(config, *state);
}

core::Result<core::ProxyState> need_running_proxy(Context& context, const core::Config& config) {
  auto home = context.home();
  if (!home) return tl::unexpected(home.error());
  auto state = core::proxy_state(*home, config.id);
  if (!state) return tl::unexpected(state.error());
  if (state->phase == core::ProxyPhase::kRunning) return state;
  return core::fail(
      fmt::format("The proxy of '{}' is not running{}.", config.name,
                  state->crashed ? " (it ended unexpectedly)" : ""),
      fmt::format(
          "{}Start it: hyperdrive start {}",
          state->crashed ? fmt::format("Its last words: hyperdrive logs {}\n", config.name) : "",
          config.name));
}

}  // namespace hyperdrive::cli
