#include "proxy/session/verify_report.hpp"

#include <fmt/chrono.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace hyperdrive::proxy::session {
namespace {

using Json = nlohmann::ordered_json;
using Microseconds = std::chrono::microseconds;

double milliseconds(Microseconds time) {
  return std::round(static_cast<double>(time.count()) / 10.0) / 100.0;
}

std::string_view text(StepStatus status) {
  switch (status) {
    case StepStatus::kOk:
      return "ok";
    case StepStatus::kWarning:
      return "warning";
    case StepStatus::kFailed:
      return "failed";
    case StepStatus::kSkipped:
      break;
  }
  return "skipped";
}

Json certificate_json(const net::TlsInfo& tls, bool verified) {
  if (tls.subject.empty() && tls.issuer.empty()) return nullptr;
  const auto left = tls.not_after - std::chrono::system_clock::now();
  const auto days = std::chrono::floor<std::chrono::days>(left).count();
  const auto until = std::chrono::system_clock::to_time_t(tls.not_after);
  return {{"subject", tls.subject},
          {"issuer", tls.issuer},
          {"not_after", fmt::format("{:%FT%TZ}", fmt::gmtime(until))},
          {"days_left", days},
          {"verified", verified}};
}

Json step_json(const VerifyStep& step) {
  Json json = {{"step", step.name},
               {"status", text(step.status)},
               {"ms", milliseconds(step.took)},
               {"round_trips", step.round_trips},
               {"message", step.message},
               {"code", step.code},
               {"hint", step.hint}};
  if (!step.addresses.empty()) json["addresses"] = step.addresses;
  if (!step.method.empty()) json["method"] = step.method;
  if (step.tls) {
    json["version"] = step.tls->version;
    json["cipher"] = step.tls->cipher;
    json["certificate"] = certificate_json(*step.tls, step.verified);
  }
  return json;
}

Json facts_json(const ServerFacts& facts, core::Scheme scheme) {
  Json json = {{"version", facts.version},
               {"version_num", facts.version_num},
               {"max_connections", facts.max_connections},
               {"reserved_connections", facts.reserved_connections}};
  if (core::is_mysql(scheme)) {
    json["log_bin"] = facts.log_bin;
    json["binlog_format"] = facts.binlog_format;
  } else {
    json["wal_level"] = facts.wal_level;
  }
  json["read_only"] = facts.read_only;
  json["superuser"] = facts.superuser;
  return json;
}

}  // namespace

VerifyReport::VerifyReport(core::Scheme scheme) : scheme_(scheme) {
  for (const auto name : kSteps) steps_.emplace_back().name = name;
}

VerifyStep& VerifyReport::step(std::string_view name) {
  return *std::find_if(steps_.begin(), steps_.end(),
                       [name](const VerifyStep& step) { return step.name == name; });
}

void VerifyReport::succeed(std::string_view name, Microseconds took, int round_trips,
                           std::string message) {
  VerifyStep& done = step(name);
  done.status = StepStatus::kOk;
  done.took = took;
  done.round_trips = round_trips;
  done.message = std::move(message);
}

void VerifyReport::warn(std::string_view name, std::string message, std::string hint) {
  VerifyStep& warned = step(name);
  warned.status = StepStatus::kWarning;
  warned.message = std::move(message);
  warned.hint = std::move(hint);
}

void VerifyReport::fail(std::string_view name, Microseconds took, const core::Error& error) {
  VerifyStep& failed = step(name);
  failed.status = StepStatus::kFailed;
  failed.took = took;
  failed.message = error.message;
  failed.hint = error.hint;
  failed.code = error.code;
  if (!error_) error_ = error;
}

std::string VerifyReport::json() const {
  Json steps = Json::array(), warnings = Json::array();
  for (const VerifyStep& step : steps_) {
    steps.push_back(step_json(step));
    if (step.status == StepStatus::kWarning) warnings.push_back(step.message);
  }
  const core::Error error = error_.value_or(core::Error{});
  const bool mysql = core::is_mysql(scheme_);
  const Json document = {{"ok", ok()},
                         {"scheme", mysql ? "mysql" : "postgresql"},
                         {"code", error.code},
                         {"message", error.message},
                         {"hint", error.hint},
                         {"steps", std::move(steps)},
                         {"round_trip_ms", milliseconds(round_trip)},
                         {"server", facts_json(facts, scheme_)},
                         {"warnings", std::move(warnings)}};
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace hyperdrive::proxy::session
