#include "cli/origin_checks.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "cli/verification.hpp"
#include "core/config/suggest.hpp"
#include "core/config/validate.hpp"

namespace hyperdrive::cli {
namespace {
using nlohmann::ordered_json;

Finding finding_of(const ordered_json& step) {
  std::string text = printable(step.value("message", ""));
  if (step.value("ms", 0.0) > 0) text += fmt::format("  ({:.1f} ms)", step.value("ms", 0.0));
  return {step.value("status", ""), step.value("step", ""), std::move(text),
          printable(step.value("hint", "")), step.value("code", 0)};
}

/// What the proxy spares each client: the round trips of connecting, TLS and login.
void add_saved(const ordered_json& report, std::vector<Finding>& findings) {
  int trips = 0;
  double spent = 0;
  for (const auto& step : report.value("steps", ordered_json::array())) {
    const std::string name = step.value("step", "");
    if (name == "tcp" || name == "tls" || name == "login") trips += step.value("round_trips", 0);
    if (name != "query") spent += step.value("ms", 0.0);
  }
  if (trips == 0) return;
  findings.push_back({"ok", "saved",
                      fmt::format("a pooled connection spares each new client {} round trips "
                                  "({:.1f} ms here)",
                                  trips, spent),
                      "", 0});
}

void add_limits(const core::Config& config, const ordered_json& server,
                std::vector<Finding>& findings) {
  const int most = server.value("max_connections", 0);
  if (most == 0) return;
  const int limit = config.origin_connection_limit;
  const std::string text =
      fmt::format("origin_connection_limit {} of max_connections {}", limit, most);
  // The server keeps some for its superuser, and others want to connect as well.
  const bool close = limit > most - 3;
  findings.push_back({close ? "warning" : "ok", "limits", text,
                      fmt::format("hyperdrive update {} --origin-connection-limit {}",
                                  core::shell_word(config), std::max(1, most / 2)),
                      0});
}

/// What `--invalidation replication` needs of the server.
struct ReplicationFact {
  std::string setting;
  std::string value;
  bool fits = false;
  std::string needs;
};

ReplicationFact replication_fact(const core::Config& config, const ordered_json& server) {
  if (!core::is_mysql(config.origin.scheme)) {
    const std::string level = server.value("wal_level", "");
    return {"wal_level", level, level == "logical", "wal_level = logical"};
  }
  const std::string log = server.value("log_bin", "");
  const std::string format = server.value("binlog_format", "");
  if (log.empty()) return {};
  return {"log_bin", log == "on" ? fmt::format("on, binlog_format {}", format) : log,
          log == "on" && format == "ROW", "log_bin on and binlog_format = ROW"};
}

void add_replication(const core::Config& config, const ordered_json& server,
                     std::vector<Finding>& findings) {
  const ReplicationFact fact = replication_fact(config, server);
  if (fact.value.empty()) return;
  const bool wanted = config.local.invalidation == core::Invalidation::kReplication;
  findings.push_back({wanted && !fact.fits ? "failed" : "ok", fact.setting, fact.value,
                      fmt::format("--invalidation replication needs {} at the server; "
                                  "--invalidation writes does not.",
                                  fact.needs),
                      0});
}

}  // namespace

std::vector<Finding> findings_of(const core::Config& config, const ordered_json& report) {
  std::vector<Finding> findings;
  for (const auto& step : report.value("steps", ordered_json::array())) {
    findings.push_back(finding_of(step));
  }
  for (const auto& warning : report.value("warnings", ordered_json::array())) {
    if (!warning.is_string()) continue;
    findings.push_back({"warning", "note", printable(warning.get<std::string>()), "", 0});
  }
  if (!report.value("ok", false)) return findings;
  add_saved(report, findings);
  const auto server = report.value("server", ordered_json::object());
  add_limits(config, server, findings);
  add_replication(config, server, findings);
  return findings;
}

core::Result<std::vector<Finding>> check_origin(Context& context, std::string_view id_or_name) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  auto config = (*registry)->find(id_or_name);
  if (!config) return tl::unexpected(config.error());
  if (const std::string why = core::only_from_cloudflare(config->origin); !why.empty()) {
    return std::vector<Finding>{{"skipped", "origin", why, "", 0}};
  }
  if (auto opened = (*registry)->unseal(*config); !opened) {
    return std::vector<Finding>{
        {"failed", "secrets", opened.error().message, opened.error().hint, 0}};
  }
  auto report = verification_report(context, *config);
  if (!report) {
    return std::vector<Finding>{
        {"failed", "origin", report.error().message, report.error().hint, 0}};
  }
  return findings_of(*config, *report);
}

}  // namespace hyperdrive::cli
