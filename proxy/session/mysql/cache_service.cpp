#include "proxy/session/mysql/cache_service.hpp"

#include <chrono>
#include <future>
#include <utility>

#include "proxy/session/pool_slot.hpp"
#include "proxy/sql/mysql_analysis.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace {

constexpr std::chrono::seconds kFirstLog{20};

bool follows_log(const core::Config& config) {
  return config.local.invalidation == core::Invalidation::kReplication && !config.caching.disabled;
}

}  // namespace

CacheService::CacheService(Service& service, const core::Config& config)
    : service_(service),
      cache_({config.local.cache_size}, cache::Policy::of(config)),
      tier_(cache_, [this](cache::WriteIntent w) { keeper_.schema_changed(std::move(w)); }),
      keeper_(cache_, service.options()->target, std::make_shared<PoolSlot<Service>>(service)),
      other_(cache_, [this](cache::WriteIntent w) { keeper_.schema_changed(std::move(w)); }) {
  keeper_.set_own_place(!config.caching.disabled);
  keeper_.set_replication(follows_log(config));
}

int CacheService::own_connections(const core::Config& config) {
  if (config.caching.disabled) return 0;
  return follows_log(config) ? 3 : 1;
}

void CacheService::attach() {
  tier_.attach(service_.workers.front()->loop, service_.options()->config);
  for (const auto& worker : service_.workers) {
    gates_.push_back(std::make_unique<CacheGate>(*worker, cache_, keeper_, tier_));
    worker->gate = gates_.back().get();
  }
}

/// The keeper, too, uses the workers' loops.
void CacheService::detach() {
  keeper_.stop();
  for (const auto& worker : service_.workers) worker->gate = nullptr;
}

core::Result<void> CacheService::start() {
  if (!cache_.policy()->disabled) tier_.start();
  return start_keeper(follows_log(service_.options()->config));
}

core::Result<void> CacheService::start_keeper(bool wait) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(started_, true)) return {};
  auto told = std::make_shared<std::promise<core::Result<void>>>();
  auto first = told->get_future();
  auto started =
      keeper_.start([told](core::Result<void> result) { told->set_value(std::move(result)); });
  if (!started || !wait) return started;
  if (first.wait_for(kFirstLog) == std::future_status::ready) return first.get();
  return core::fail("The origin's binary log could not be followed within 20 s.",
                    "A transaction whose commit waits at the origin (for a semi-synchronous "
                    "replica) holds it up; or use --invalidation writes.");
}

void CacheService::reload(const core::Config& config, bool new_origin) {
  const auto policy = cache::Policy::of(config);
  other_.follow(policy);
  cache_.reload(policy);
  cache_.resize(config.local.cache_size);
  if (new_origin) keeper_.retarget(service_.options()->target);
  keeper_.set_own_place(!config.caching.disabled);
  keeper_.set_replication(follows_log(config));
  tier_.reload(config, new_origin);
}

std::vector<std::string> CacheService::warnings() const {
  if (cache_.policy()->disabled) {
    const std::string trouble = keeper_.trouble();
    return trouble.empty() ? std::vector<std::string>() : std::vector<std::string>{trouble};
  }
  std::vector<std::string> all = keeper_.warnings();
  if (std::string shared = tier_.warning(); !shared.empty()) all.push_back(std::move(shared));
  return all;
}

// --- purges
// -----------------------------------------------------------------------------------------

cache::Purged CacheService::purge(const SharedTier::Marks& marks) {
  ++purges_;
  return tier_.purge(marks);
}

cache::Purged CacheService::purge_all() { return purge({&cache_.epochs().database()}); }

cache::Purged CacheService::purge_tag(const std::string& tag) {
  return purge({&Planner::tag_mark(cache_, tag)});
}

cache::Purged CacheService::purge_query(const std::string& sql) {
  return purge({&Planner::query_mark(cache_, sql)});
}

core::Result<cache::Purged> CacheService::purge_table(const std::string& table) {
  const KnownCatalog known = keeper_.catalog();
  if (!known.catalog) {
    return core::fail("The origin's tables are not known yet, so nothing is cached.",
                      "Try again when the origin answers.");
  }
  const auto ids =
      known.catalog->tables_matching(table, service_.options()->config.origin.database);
  if (ids.empty()) {
    return core::fail("The origin has no table that matches \"" + table + "\".",
                      "Give it as table or database.table; * and ? are wildcards.");
  }
  SharedTier::Marks marks;
  for (const auto id : ids) marks.push_back(&cache_.epochs().table(id));
  return purge(marks);
}

core::Result<sql::Explanation> CacheService::explain(const std::string& text) {
  const KnownCatalog known = keeper_.catalog();
  if (!known.catalog) {
    return core::fail(
        "The origin's tables are not known yet: whether a query may be cached depends on them.",
        "Try again when the origin answers.");
  }
  State fresh;
  fresh.variables.push_back({"sql_mode", known.defaults.sql_mode});
  const auto analysis = sql::analyse_mysql(text, fresh.lexing());
  sql::Explanation explained =
      sql::explain_mysql(*analysis, *known.catalog, service_.options()->config.origin.database);
  const auto policy = cache_.policy();
  if (policy->disabled) {
    explained.status = sql::CacheStatus::kDisabled;
    explained.reason = "caching is disabled";
  } else if (explained.status == sql::CacheStatus::kMiss) {
    const cache::Terms terms = policy->terms(explained.tables, analysis->hints);
    if (terms.bypass) {
      explained.status = sql::CacheStatus::kBypass;
      explained.reason = terms.reason;
    }
  }
  return explained;
}

}  // namespace hyperdrive::proxy::session::mysql
