#include "proxy/session/postgres/cache_service.hpp"

#include <chrono>
#include <cstdlib>
#include <future>
#include <utility>

#include "proxy/session/postgres/keeper_connector.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace {

constexpr std::chrono::seconds kFirstLog{20};
constexpr std::chrono::seconds kFirstCatalog{3};

bool follows_log(const core::Config& config) {
  return config.local.invalidation == core::Invalidation::kReplication && !config.caching.disabled;
}

KeeperOptions keeper_options(const core::Config& config, Service& service) {
  KeeperOptions options;
  options.on_new_defaults = [&service] {
    service.profiles.clear();
    service.pool->renew();
  };
  options.replication = follows_log(config);
  options.stays_connected = !config.caching.disabled;
  options.slot = std::make_shared<PoolSlot<Service>>(service);
  // For the test that shows what the fence is for (tests/integration/test_cache_replication.py).
  options.fence = std::getenv("HYPERDRIVE_TEST_WITHOUT_FENCE") == nullptr;
  return options;
}

}  // namespace

CacheService::CacheService(Service& service, const core::Config& config)
    : service_(service),
      cache_({config.local.cache_size}, cache::Policy::of(config)),
      tier_(cache_, [this](cache::WriteIntent w) { keeper_.schema_changed(std::move(w)); }),
      keeper_(cache_, make_keeper_connector(service.options()->target),
              keeper_options(config, service)),
      other_(cache_, [this](cache::WriteIntent w) { keeper_.schema_changed(std::move(w)); }),
      replication_(follows_log(config)) {}

int CacheService::own_connections(const core::Config& config) {
  if (config.caching.disabled) return 0;
  return follows_log(config) ? 2 : 1;
}

void CacheService::attach() {
  tier_.attach(service_.workers.front()->loop, service_.options()->config);
  for (const auto& worker : service_.workers) {
    gates_.push_back(std::make_unique<CacheGate>(*worker, cache_, keeper_, contexts_, tier_));
    worker->gate = gates_.back().get();
  }
}

/// The keeper, too, uses the pool and the workers' loops.
void CacheService::detach() {
  keeper_.stop();
  for (const auto& worker : service_.workers) worker->gate = nullptr;
}

core::Result<void> CacheService::start() {
  if (!cache_.policy()->disabled) tier_.start();
  return start_keeper(replication_);
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
  return core::fail("The origin's log could not be followed within 20 s.",
                    "A long transaction at the origin holds it up; or use --invalidation writes.");
}

void CacheService::reload(const core::Config& config, bool new_origin) {
  const auto policy = cache::Policy::of(config);
  other_.follow(policy);
  cache_.reload(policy);
  cache_.resize(config.local.cache_size);
  if (new_origin) keeper_.retarget(make_keeper_connector(service_.options()->target));
  keeper_.set_stays_connected(!config.caching.disabled);
  keeper_.set_replication(follows_log(config));
  tier_.reload(config, new_origin);
}

std::vector<std::string> CacheService::warnings() const {
  std::vector<std::string> all = keeper_.warnings();
  if (std::string shared = tier_.warning(); !shared.empty()) all.push_back(std::move(shared));
  const KnownCatalog known = keeper_.catalog();
  if (!known.catalog) return all;
  const std::shared_ptr<const cache::Policy> policy = cache_.policy();  // a reload replaces it
  for (const core::CacheRule& rule : policy->rules) {
    const bool bare = rule.table.find('.') == std::string::npos;
    if (!known.catalog->tables_matching(bare ? "*." + rule.table : rule.table).empty()) continue;
    all.push_back("The cache rule for \"" + rule.table + "\" matches no table of the origin.");
  }
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

/// Right after the start the first reading is still under way.
KnownCatalog CacheService::catalog_soon() {
  auto told = std::make_shared<std::promise<void>>();
  auto known = told->get_future();
  keeper_.when_known([told] { told->set_value(); });
  known.wait_for(kFirstCatalog);
  return keeper_.catalog();
}

core::Result<cache::Purged> CacheService::purge_table(const std::string& table) {
  const KnownCatalog known = catalog_soon();
  if (!known.catalog) {
    return core::fail("The origin's catalogs are not known yet, so nothing is cached.",
                      "Try again when the origin answers.");
  }
  std::vector<cache::Mark*> marks;
  for (const sql::Oid oid : known.catalog->tables_matching(table)) {
    marks.push_back(&cache_.epochs().table(oid));
  }
  if (marks.empty()) {
    return core::fail("The origin has no table that matches \"" + table + "\".",
                      "Give it as table or schema.table; * and ? are wildcards.");
  }
  return purge(marks);
}

core::Result<sql::Explanation> CacheService::explain(const std::string& text) {
  const KnownCatalog known = catalog_soon();
  if (!known.catalog) {
    return core::fail(
        "The origin's catalogs are not known yet: whether a query may be cached "
        "depends on them.",
        "Try again when the origin answers.");
  }
  const auto analysis = service_.analyses.get(text);
  sql::Explanation explained = sql::explain(*analysis, text, *known.catalog, known.base);
  const auto policy = cache_.policy();
  if (policy->disabled) {
    explained.status = sql::CacheStatus::kDisabled;
    explained.reason = "caching is disabled";
  } else {
    const cache::Terms terms = policy->terms(explained.tables, analysis->hints);
    if (terms.bypass) {
      explained.status = sql::CacheStatus::kBypass;
      explained.reason = terms.reason;
    }
  }
  return explained;
}

}  // namespace hyperdrive::proxy::session::postgres
