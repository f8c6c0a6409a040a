// What goes wrong while the proxy runs, as lines for the log: an origin that cannot be reached and
// comes back, timeouts, refused logins, what the cache cannot see.
//
// No query writes a line. The supervisor's thread looks at the counters every kLook and tells their
// growth; while the same trouble goes on, the pauses between its lines double up to kLongest, so a
// flood of failures is a line a minute.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "proxy/server/proxy.hpp"

namespace hyperdrive::proxy::server {

class TroubleLog {
 public:
  static constexpr std::chrono::milliseconds kLook{5'000};
  static constexpr std::chrono::milliseconds kLongest{60'000};

  explicit TroubleLog(Proxy& proxy) : proxy_(proxy) {}
  /// Nothing happens when the last look was less than kLook ago.
  void look(std::chrono::steady_clock::time_point now);

 private:
  std::string counted(const session::TelemetrySnapshot& seen) const;
  void tell_of_origin(const session::TelemetrySnapshot& seen);
  void tell_of_cache();

  Proxy& proxy_;
  session::TelemetrySnapshot told_;  // as far as it has been written
  std::chrono::steady_clock::time_point next_{};
  std::chrono::milliseconds pause_ = kLook;
  bool origin_failing_ = false;
  std::vector<std::string> warnings_;
};

}  // namespace hyperdrive::proxy::server
