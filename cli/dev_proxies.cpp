#include "cli/dev_proxies.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "cli/event_line.hpp"
#include "cli/launching.hpp"
#include "cli/live.hpp"
#include "cli/output/progress.hpp"
#include "core/config/connection_string.hpp"
#include "core/process/admin_client.hpp"
#include "core/process/proxy.hpp"

namespace hyperdrive::cli {

DevProxies::~DevProxies() { stop(); }

core::Result<DevProxies::Proxy> DevProxies::start_one(const BoundConfig& bound) {
  auto home = context_.home();
  if (!home) return tl::unexpected(home.error());
  core::Launch launch{.config = bound.config};
  if (!bound.temporary) {
    auto stored = launch_of(context_, bound.config);
    if (!stored) return tl::unexpected(stored.error());
    launch = std::move(*stored);
  }
  auto started = [&] {
    const Progress progress(context_.out(),
                            fmt::format("Starting the proxy of {}", bound.config.name));
    return core::start_attached_proxy(*home, std::move(launch));
  }();
  if (!started) return tl::unexpected(started.error());
  return Proxy{bound.config.id, bound.config.name, started->admin_socket, !started->already_running,
               &bound};
}

core::Result<void> DevProxies::start(const std::vector<BoundConfig>& bound) {
  for (const BoundConfig& one : bound) {
    const bool known = std::any_of(proxies_.begin(), proxies_.end(),
                                   [&](const Proxy& proxy) { return proxy.id == one.config.id; });
    if (!known) {
      auto started = start_one(one);
      if (!started) return tl::unexpected(started.error());
      proxies_.push_back(std::move(*started));
    }
    context_.out().note(fmt::format("{:<16} {} → {}{}", one.binding,
                                    core::local_address(listening(one)), one.config.name,
                                    one.temporary ? " (its localConnectionString)" : ""));
  }
  return {};
}

core::Config DevProxies::listening(const BoundConfig& bound) const {
  core::Config config = bound.config;
  if (auto home = context_.home()) adopt_running_address(*home, config);
  return config;
}

namespace {

/// How long queries may go unseen at most, should a proxy not answer.
constexpr std::chrono::seconds kUntilWatched{2};

/// For programs: the proxy's own event with the config's name, a line each.
std::string event_of(const std::string& name, std::string_view line) {
  auto event = nlohmann::ordered_json::parse(line, nullptr, false);
  if (!event.is_object()) return {};
  event["config"] = name;
  return event.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

void DevProxies::follow(const std::string& name, const std::string& admin_socket,
                        std::function<void()> open) {
  // Signals belong to the main thread.
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  const std::string prefix = proxies_.size() > 1 ? fmt::format("{:<12} ", name) : "";
  core::AdminClient client(admin_socket);
  auto ended = client.stream(
      "/v1/events",
      [&](std::string_view line) {
        if (const auto text = event_line(line, context_.out())) {
          const std::lock_guard lock(printing_);
          if (context_.out().json()) {
            context_.out().print_raw(event_of(name, line));
          } else {
            context_.out().say(prefix + *text);
          }
        }
        return !ending_;
      },
      [this] { return !ending_.load(); }, std::move(open));
  if (!ended && !ending_) {
    const std::lock_guard lock(printing_);
    context_.out().warn(
        fmt::format("The queries of {} can no longer be shown: {}", name, ended.error().message));
  }
}

void DevProxies::watch() {
  if (context_.out().quiet()) return;
  watching_ = true;
  std::vector<std::future<void>> watched;
  for (const Proxy& proxy : proxies_) watched.push_back(watch_one(proxy));
  for (const auto& one : watched) one.wait_for(kUntilWatched);
}

std::future<void> DevProxies::watch_one(const Proxy& proxy) {
  auto open = std::make_shared<std::promise<void>>();
  auto watched = open->get_future();
  watchers_.emplace_back(
      [this, name = proxy.name, socket = proxy.admin_socket, open = std::move(open)]() mutable {
        // A promise that is dropped makes its future ready, too.
        follow(name, socket, [open = std::move(open)] { open->set_value(); });
      });
  return watched;
}

core::Result<void> DevProxies::take_over() {
  for (Proxy& proxy : proxies_) {
    follow_restart(proxy);
    if (proxy.ours || runs(proxy)) continue;
    auto started = start_one(*proxy.bound);
    if (!started) return tl::unexpected(started.error());
    proxy = std::move(*started);
    if (watching_) watch_one(proxy);
  }
  return {};
}

void DevProxies::follow_restart(Proxy& proxy) {
  auto home = context_.home();
  if (!home) return;
  const auto state = core::proxy_state(*home, proxy.id);
  if (!state || state->phase != core::ProxyPhase::kRunning) return;
  if (state->admin_socket.empty() || state->admin_socket == proxy.admin_socket) return;
  // The old one's stream stays until it has drained; the new one's begins beside it.
  proxy.admin_socket = state->admin_socket;
  if (watching_) watch_one(proxy);
}

void DevProxies::stop() {
  if (stopped_) return;
  stopped_ = true;
  auto home = context_.home();
  // First the proxies, then the watchers: a stream ends with its proxy, so the last lines are seen.
  for (const Proxy& proxy : proxies_) {
    if (!proxy.ours || !home) continue;
    const auto patience = proxy.bound->config.local.drain_timeout + core::kAfterDrain;
    auto stopped = core::stop_proxy(*home, proxy.id, patience);
    if (!stopped) context_.out().warn(stopped.error().message);
  }
  ending_ = true;
  for (std::thread& watcher : watchers_) watcher.join();
}

bool DevProxies::runs(const Proxy& proxy) const {
  auto home = context_.home();
  if (!home) return false;
  const auto state = core::proxy_state(*home, proxy.id);
  return state && state->phase != core::ProxyPhase::kStopped;
}

std::string DevProxies::ended() const {
  for (const Proxy& proxy : proxies_) {
    if (proxy.ours && !runs(proxy)) return proxy.name;
  }
  return {};
}

}  // namespace hyperdrive::cli
