#include "proxy/server/trouble_log.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace hyperdrive::proxy::server {

using session::Counter;

namespace {

struct Told {
  Counter counter;
  std::string_view one;
  std::string_view many;
};

constexpr std::array<Told, 7> kCounted = {{
    {Counter::kOriginConnectFailures, "connection to the origin failed",
     "connections to the origin failed"},
    {Counter::kOriginDisconnects, "origin connection was lost", "origin connections were lost"},
    {Counter::kWaitTimeouts, "wait for an origin connection timed out",
     "waits for an origin connection timed out"},
    {Counter::kQueryTimeouts, "query ran into its limit", "queries ran into their limit"},
    {Counter::kWriteTimeouts, "client that did not read was cut",
     "clients that did not read were cut"},
    {Counter::kLoginFailures, "login was refused", "logins were refused"},
    {Counter::kClientsRefused, "client was too many", "clients were too many"},
}};

}  // namespace

void TroubleLog::look(std::chrono::steady_clock::time_point now) {
  if (now < next_) return;
  const session::TelemetrySnapshot seen = proxy_.telemetry().snapshot();
  const std::string news = counted(seen);
  pause_ = news.empty() ? kLook : std::min(pause_ * 2, kLongest);
  next_ = now + (news.empty() ? kLook : pause_);
  if (!news.empty()) spdlog::warn("{}", news);
  tell_of_origin(seen);
  tell_of_cache();
  told_ = seen;
}

std::string TroubleLog::counted(const session::TelemetrySnapshot& seen) const {
  std::string line;
  for (const auto& [counter, one, many] : kCounted) {
    const std::uint64_t more = seen[counter] - told_[counter];
    if (more == 0) continue;
    line += fmt::format("{}{} {}", line.empty() ? "" : ", ", more, more == 1 ? one : many);
  }
  return line;
}

void TroubleLog::tell_of_origin(const session::TelemetrySnapshot& seen) {
  const auto failure = proxy_.plane().pool().last_failure();
  if (failure && seen[Counter::kOriginConnectFailures] != told_[Counter::kOriginConnectFailures]) {
    spdlog::warn("origin: {} {}", failure->error.message, failure->error.hint);
    origin_failing_ = true;
  } else if (!failure && std::exchange(origin_failing_, false)) {
    spdlog::info("origin: connected again");
  }
}

void TroubleLog::tell_of_cache() {
  std::vector<std::string> warnings = proxy_.plane().warnings();
  for (const std::string& warning : warnings) {
    if (std::find(warnings_.begin(), warnings_.end(), warning) == warnings_.end()) {
      spdlog::warn("cache: {}", warning);
    }
  }
  if (warnings.empty() && !warnings_.empty()) spdlog::info("cache: nothing is amiss any more");
  warnings_ = std::move(warnings);
}

}  // namespace hyperdrive::proxy::server
