#include <fmt/chrono.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "proxy/admin/render.hpp"

namespace hyperdrive::proxy::admin {
namespace {

using std::chrono::duration_cast;

void add_gauges(Json& json, const Gauges& gauges) {
  json["clients"] = gauges.clients;
  json["origin_connections"] = gauges.origin_connections;
  json["idle"] = gauges.idle;
  json["waiting"] = gauges.waiting;
}

Json latency_json(const Latency& latency) {
  return {{"count", latency.count},
          {"p50_us", latency.p50},
          {"p90_us", latency.p90},
          {"p99_us", latency.p99},
          {"max_us", latency.max}};
}

Json reasons_json(const Reasons& reasons) {
  Json json = Json::object();
  for (const auto& [reason, count] : reasons) json[reason] = count;
  return json;
}

Json cache_json(const CacheStats& cache) {
  Json json;
  for (std::size_t i = 0; i < kCacheStatuses.size(); ++i) {
    json[std::string(kCacheStatuses[i])] = cache.by_status[i];
  }
  json["stale_hits"] = cache.stale_hits;
  json["bytes"] = cache.bytes;
  json["entries"] = cache.entries;
  json["evictions"] = cache.evictions;
  json["coalesced"] = cache.coalesced;
  json["origin_ms_saved"] = cache.origin_ms_saved;
  json["purges"] = cache.purges;
  json["verified"] = cache.verified;
  json["verified_stale"] = cache.verified_stale;
  json["shared_hits"] = cache.shared_hits;
  json["refreshes"] = cache.refreshes;
  json["refresh_failures"] = cache.refresh_failures;
  json["invalid_hints"] = cache.invalid_hints;
  return json;
}

Json origin_json(const OriginStatus& origin) {
  Json json = {{"host", origin.host},
               {"port", origin.port},
               {"database", origin.database},
               {"user", origin.user},
               {"server_version", origin.server_version},
               {"tls", origin.tls},
               {"last_error", nullptr}};
  if (origin.last_error) {
    json["last_error"] = to_json(origin.last_error->error);
    json["last_error"]["at"] = timestamp(origin.last_error->at);
  }
  return json;
}

Json event_json(const QueryEvent& event) {
  Json json = {{"type", "query"},
               {"seq", 0},
               {"at", timestamp(event.at)},
               {"client", event.client},
               {"sql", cut_utf8(event.sql, kMaxEventSql)},
               {"command", event.command},
               {"status", event.status},
               {"reason", event.reason},
               {"duration_us", event.duration_us},
               {"origin_us", event.origin_us},
               {"wait_us", event.wait_us},
               {"rows", event.rows},
               {"bytes", event.bytes},
               {"age_us", event.age_us},
               {"tables_written", event.tables_written},
               {"error", nullptr},
               {"pinned", event.pinned},
               {"refused_in_production", event.refused_in_production}};
  if (!event.sqlstate.empty()) {
    json["error"] = {{"sqlstate", event.sqlstate}, {"message", event.error}};
  }
  return json;
}

Json event_json(const SessionEvent& event) {
  Json json = {{"type", "session"},
               {"seq", 0},
               {"at", timestamp(event.at)},
               {"event", event.connected ? "connect" : "disconnect"},
               {"client", event.client}};
  if (event.connected) {
    json["user"] = event.user;
    json["application_name"] = event.application_name;
  } else {
    json["reason"] = event.reason;
  }
  json["clients"] = event.clients;
  return json;
}

Json event_json(const OriginEvent& event) {
  return {{"type", "origin"},          {"seq", 0},
          {"at", timestamp(event.at)}, {"event", event.event},
          {"code", event.error.code},  {"message", event.error.message},
          {"hint", event.error.hint}};
}

}  // namespace

std::string timestamp(Clock::time_point at) {
  const auto since = at.time_since_epoch();
  const auto ms = duration_cast<std::chrono::milliseconds>(since).count();
  return fmt::format("{:%FT%T}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(ms / 1000)),
                     ms % 1000);
}

std::string_view cut_utf8(std::string_view text, std::size_t size) {
  if (text.size() <= size) return text;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json to_json(const core::Error& error) {
  return {{"code", error.code}, {"message", error.message}, {"hint", error.hint}};
}

Json to_json(const Status& status) {
  const auto uptime = duration_cast<std::chrono::seconds>(Clock::now() - status.started_at).count();
  Json json = {{"id", status.id},
               {"name", status.name},
               {"pid", getpid()},
               {"version", status.version},
               {"state", status.draining ? "draining" : "running"},
               {"scheme", status.scheme},
               {"started_at", timestamp(status.started_at)},
               {"uptime_s", uptime},
               {"port", status.port},
               {"listen", status.listen},
               {"loop", status.loop},
               {"workers", status.workers},
               {"session_features", status.session_features},
               {"invalidation", status.invalidation},
               {"caching", status.caching},
               {"warnings", status.warnings},
               {"origin", origin_json(status.origin)}};
  add_gauges(json, status.gauges);
  return json;
}

Json to_json(const Stats& stats) {
  Json json;
  add_gauges(json, stats.gauges);
  for (const auto& [name, value] : stats.counters) json[std::string(name)] = value;
  json["latency"] = {{"query", latency_json(stats.query)},
                     {"hit", latency_json(stats.hit)},
                     {"origin", latency_json(stats.origin)},
                     {"wait", latency_json(stats.wait)}};
  json["pins"] = reasons_json(stats.pins);
  json["refusals"] = reasons_json(stats.refusals);
  json["refused_in_production"] = reasons_json(stats.refused_in_production);
  json["lost"] = reasons_json(stats.lost);
  json["cache"] = cache_json(stats.cache);
  return json;
}

Json to_json(const QueryClass& query) {
  return {{"sql", query.sql},
          {"count", query.count},
          {"status", query.status},
          {"reason", query.reason},
          {"hits", query.hits},
          {"misses", query.misses},
          {"stale", query.stale},
          {"errors", query.errors},
          {"rows", query.rows},
          {"bytes", query.bytes},
          {"total_us", query.latency.sum},
          {"p50_us", query.latency.p50},
          {"p99_us", query.latency.p99},
          {"max_us", query.latency.max},
          {"last_at", timestamp(query.last_at)}};
}

Json to_json(const Explanation& explanation) {
  const bool differs = explanation.production_status != explanation.status;
  return {{"cacheable", explanation.cacheable},
          {"status", explanation.status},
          {"reason", explanation.reason},
          {"tables", explanation.tables},
          {"functions", explanation.functions},
          {"invalid_hints", explanation.invalid_hints},
          {"production",
           {{"status", explanation.production_status},
            {"differs", differs},
            {"reason", explanation.production_reason}}}};
}

Json to_json(const Event& event, std::uint64_t sequence) {
  Json json = std::visit([](const auto& one) { return event_json(one); }, event);
  json["seq"] = sequence;
  return json;
}

std::string event_lines(const EventBatch& batch, bool with_sql) {
  std::string lines;
  for (const auto& [sequence, event] : batch.events) {
    Json json = to_json(event, sequence);
    if (!with_sql) json.erase("sql");
    lines.append(dump(json)).push_back('\n');
  }
  if (batch.dropped != 0) {
    lines.append(dump({{"type", "dropped"}, {"n", batch.dropped}})).push_back('\n');
  }
  return lines;
}

}  // namespace hyperdrive::proxy::admin
