// The document of --verify as a value, and its JSON. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "proxy/net/stream.hpp"

namespace hyperdrive::proxy::session {

enum class StepStatus { kOk, kWarning, kFailed, kSkipped };

struct VerifyStep {
  std::string_view name;  ///< "dns", "tcp", "tls", "login", "database", "query"
  StepStatus status = StepStatus::kSkipped;
  std::chrono::microseconds took{0};
  int round_trips = 0;
  std::string message;
  std::string hint;
  int code = 0;
  // What only some steps have:
  std::vector<std::string> addresses;
  std::string method;
  std::optional<net::TlsInfo> tls;
  bool verified = false;
};

/// From the origin itself; empty or 0 where it would not tell.
struct ServerFacts {
  std::string version;
  int version_num = 0;
  int max_connections = 0;
  int reserved_connections = 0;
  std::string wal_level;  ///< Postgres
  std::string log_bin;    ///< MySQL: "on", "off"
  std::string binlog_format;
  bool read_only = false;
  bool superuser = false;
};

class VerifyReport {
 public:
  static constexpr std::string_view kSteps[] = {"dns", "tcp", "tls", "login", "database", "query"};

  explicit VerifyReport(core::Scheme scheme);

  VerifyStep& step(std::string_view name);
  void succeed(std::string_view name, std::chrono::microseconds took, int round_trips,
               std::string message);
  void warn(std::string_view name, std::string message, std::string hint);
  void fail(std::string_view name, std::chrono::microseconds took, const core::Error& error);

  bool ok() const { return !error_; }
  std::string json() const;

  ServerFacts facts;
  std::chrono::microseconds round_trip{0};

 private:
  core::Scheme scheme_;
  std::vector<VerifyStep> steps_;
  std::optional<core::Error> error_;
};

}  // namespace hyperdrive::proxy::session
