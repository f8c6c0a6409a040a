#include "cli/live.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/config/json.hpp"
#include "core/config/suggest.hpp"
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

namespace {

/// What of a change waits for a restart, as flags; `all`: nothing of it holds yet.
struct Waiting {
  std::string names;
  bool all = false;
};

/// The running proxy itself says what differs from how it was started: that may be less than what
/// was changed (a value back to what it was), and it is asked about this change only.
Waiting waiting_parts(std::string_view answer, const ConfigEdit& edit) {
  const auto json = nlohmann::json::parse(answer, nullptr, false);
  const auto parts =
      json.is_object() ? json.value("restart", nlohmann::json::array()) : nlohmann::json::array();
  const auto waits = [&parts](std::string_view key) {
    return std::find(parts.begin(), parts.end(), key) != parts.end();
  };
  Waiting waiting;
  ConfigEdit taken = edit;
  taken.settings.clear();
  for (const auto& one : edit.settings) {
    if (waits(one.first->key)) {
      waiting.names += fmt::format("{}--{}", waiting.names.empty() ? "" : ", ", one.first->flag);
    } else {
      taken.settings.push_back(one);
    }
  }
  waiting.all = taken.empty();
  // What is not told by flags (`pull`) is asked about as a whole.
  if (waits("origin") && (edit.touches_origin() || edit.empty())) {
    waiting.names += fmt::format("{}the other kind of database", waiting.names.empty() ? "" : ", ");
    waiting.all = !edit.caching_disabled && !edit.max_age && !edit.stale_while_revalidate &&
                  !edit.origin_connection_limit && taken.settings.empty();
  }
  return waiting;
}

}  // namespace

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
  auto answer = proxy.post_body("/v1/reload", core::launch_json(*launch));
  const std::string restart = fmt::format("hyperdrive restart {}", core::shell_word(config));
  if (!answer) {
    context.out().warn(fmt::format(
        "The change is stored, but the running proxy did not take it: {} It takes effect with: {}",
        answer.error().message, restart));
    return {};
  }
  const Waiting waiting = waiting_parts(*answer, edit);
  if (waiting.names.empty()) {
    context.out().note("The running proxy has taken the change.");
  } else {
    context.out().note(fmt::format("{}For {}: {}",
                                   waiting.all ? "" : "The running proxy has taken the rest. ",
                                   waiting.names, restart));
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
  const std::string word = core::shell_word(config);
  return core::fail(
      fmt::format("The proxy of '{}' is not running{}.", config.name,
                  state->crashed ? " (it ended unexpectedly)" : ""),
      fmt::format("{}Start it: hyperdrive start {}",
                  state->crashed ? fmt::format("Its last words: hyperdrive logs {}\n", word) : "",
                  word));
}

}  // namespace hyperdrive::cli
