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

constexpr std::array<std::pair<Counter, std::string_view>, 7> kCounted = {{
    {Counter::kOriginConnectFailures, "connections to the origin failed"},
    {Counter::kOriginDisconnects, "origin connections were lost"},
    {Counter::kWaitTimeouts, "waits for an origin connection timed out"},
    {Counter::kQueryTimeouts, "queries ran into their limit"},
    {Counter::kWriteTimeouts, "clients that did not read were cut"},
    {Counter::kLoginFailures, "logins were refused"},
    {Counter::kClientsRefused, "clients were too many"},
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
  for (const auto& [counter, words] : kCounted) {
    const std::uint64_t more = seen[counter] - told_[counter];
    if (more > 0) line += fmt::format("{}{} {}", line.empty() ? "" : ", ", more, words);
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
