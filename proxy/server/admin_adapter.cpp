#include "proxy/server/admin_adapter.hpp"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "core/config/json.hpp"
#include "core/config/settings.hpp"

namespace hyperdrive::proxy::server {

namespace {

std::string setting(const core::LocalSettings& local, std::string_view key) {
  const core::Setting* found = core::find_setting(key);
  return found == nullptr ? std::string() : found->get(local);
}

/// A shared tier that is not used just now has not heard of a purge.
std::string untold(const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) {
    if (!warning.starts_with("The shared cache")) continue;
    return "The shared cache could not be told, so that other proxies may still answer from it; it "
           "is purged before this one uses it again. " +
           warning;
  }
  return {};
}

}  // namespace

admin::Gauges AdminAdapter::gauges() {
  const pool::PoolGauges pool = proxy_.plane().pool().gauges();
  return {proxy_.telemetry().clients.load(std::memory_order_relaxed), pool.total, pool.idle,
          pool.waiting};
}

admin::Status AdminAdapter::status() {
  const core::Config config = proxy_.launch().config;
  admin::Status status;
  status.id = config.id;
  status.name = config.name;
  status.version = HYPERDRIVE_VERSION;
  status.draining = proxy_.draining();
  status.scheme = core::is_mysql(config.origin.scheme) ? "mysql" : "postgresql";
  status.started_at = started_at_;
  status.port = proxy_.port();
  status.listen = proxy_.addresses();
  status.loop = proxy_.backend() == net::Loop::Backend::kIoUring ? "io_uring" : "epoll";
  status.workers = static_cast<int>(proxy_.workers());
  status.session_features = setting(config.local, "session_features");
  status.invalidation = setting(config.local, "invalidation");
  status.caching = !config.caching.disabled;
  status.warnings = proxy_.plane().warnings();
  const session::OriginFacts facts = proxy_.plane().facts();
  status.origin = {config.origin.host, config.origin.port,   config.origin.database,
                   config.origin.user, facts.server_version, facts.tls,
                   std::nullopt};
  if (const auto failure = proxy_.plane().pool().last_failure()) {
    status.origin.last_error = admin::OriginStatus::Failure{failure->error, failure->at};
  }
  status.gauges = gauges();
  return status;
}

admin::Readiness AdminAdapter::readiness() {
  if (proxy_.draining()) return {false, "draining"};
  const auto failure = proxy_.plane().pool().last_failure();
  if (failure) return {false, failure->error.message};
  return {true, {}};
}

admin::Stats AdminAdapter::stats() {
  admin::Stats stats = admin::Stats::from(proxy_.telemetry().snapshot());
  stats.gauges = gauges();
  cache::Cache& cache = proxy_.plane().cache();
  const cache::CountsSnapshot counts = cache.counters().snapshot();
  stats.cache.by_status = counts.statuses;
  stats.cache.stale_hits = counts.of(cache::Count::kStaleHits);
  stats.cache.bytes = cache.store().bytes();
  stats.cache.entries = cache.store().entries();
  stats.cache.evictions = cache.store().evictions();
  stats.cache.coalesced = counts.of(cache::Count::kCoalesced);
  stats.cache.origin_ms_saved = counts.of(cache::Count::kOriginMicroseconds) / 1000;
  stats.cache.purges = proxy_.plane().purges();
  stats.cache.verified = counts.of(cache::Count::kVerified);
  stats.cache.verified_stale = counts.of(cache::Count::kVerifiedStale);
  stats.cache.shared_hits = counts.of(cache::Count::kSharedHits);
  stats.cache.refreshes = counts.of(cache::Count::kRefreshes);
  stats.cache.refresh_failures = counts.of(cache::Count::kRefreshFailures);
  stats.cache.invalid_hints = counts.of(cache::Count::kInvalidHints);
  return stats;
}

std::string AdminAdapter::config_json() { return core::all_json(proxy_.launch().config).dump(); }

core::Result<admin::Explanation> AdminAdapter::explain(const std::string& sql) {
  auto explained = proxy_.plane().explain(sql);
  if (!explained) return tl::unexpected(std::move(explained.error()));
  admin::Explanation out;
  out.cacheable = explained->status == sql::CacheStatus::kMiss;
  out.status = name(explained->status);
  out.reason = explained->reason;
  out.tables = explained->tables;
  out.functions = explained->functions;
  out.invalid_hints = explained->hints.invalid;
  out.production_status = explained->cloudflare.empty() ? out.status : "uncacheable";
  out.production_reason = explained->cloudflare;
  return out;
}

core::Result<admin::Purged> AdminAdapter::purge(const admin::Purge& purge) {
  session::Plane& cache = proxy_.plane();
  const auto done = [&cache](const cache::Purged& purged) {
    return admin::Purged{purged.entries, untold(cache.warnings())};
  };
  switch (purge.what) {
    case admin::Purge::What::kAll:
      return done(cache.purge_all());
    case admin::Purge::What::kTag:
      return done(cache.purge_tag(purge.name));
    case admin::Purge::What::kQuery:
      return done(cache.purge_query(purge.name));
    case admin::Purge::What::kTable:
      break;
  }
  auto purged = cache.purge_table(purge.name);
  if (!purged) return tl::unexpected(std::move(purged.error()));
  return done(*purged);
}

core::Result<admin::Reloaded> AdminAdapter::reload(std::string_view launch_json) {
  auto launch = core::parse_launch(launch_json);
  if (!launch) return tl::unexpected(launch.error());
  auto reloaded = proxy_.reload(std::move(*launch));
  if (!reloaded) return tl::unexpected(std::move(reloaded.error()));
  return admin::Reloaded{std::move(reloaded->changed), std::move(reloaded->restart)};
}

void AdminAdapter::drain(std::optional<std::chrono::milliseconds> timeout) {
  proxy_.drain(timeout.value_or(proxy_.launch().config.local.drain_timeout));
}

}  // namespace hyperdrive::proxy::server
