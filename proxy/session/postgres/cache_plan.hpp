// What the cache makes of a statement: may its answer be kept, on what does it depend, what does it
// write. Computed once for each analysis, set of settings, catalog and policy.
//
// A Planner belongs to one worker. Plans are immutable and shared by reference count within it.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proxy/cache/cache.hpp"
#include "proxy/session/postgres/cache_keeper.hpp"
#include "proxy/session/postgres/settings.hpp"
#include "proxy/session/postgres/text_info.hpp"

namespace hyperdrive::proxy::session::postgres {

struct Plan {
  std::shared_ptr<const sql::Analysis> analysis;
  SettingsRef settings;
  std::uint64_t catalog_generation = 0;
  std::uint64_t policy_generation = 0;

  sql::CacheStatus status = sql::CacheStatus::kUncacheable;  ///< kMiss: may be cached
  std::string reason;
  cache::Lifetime lifetime;
  bool has_invalid_hints = false;
  std::vector<cache::Mark*> reads;  ///< tables and the comment's tags

  std::vector<cache::Mark*> writes;
  bool writes_everything = false;
  bool may_commit_inside = false;
  bool changes_catalog = false;
  bool runs_unknown_code = false;  ///< it may change its session, too
  std::string prepares;            ///< PREPARE TRANSACTION: its name

  bool writes_anything() const {
    return writes_everything || changes_catalog || !writes.empty() || !prepares.empty();
  }
};
using PlanRef = std::shared_ptr<const Plan>;

/// What the planner keeps with a text (TextInfo::gate_data).
struct TextPlan {
  PlanRef plan;
  std::vector<cache::Mark*> marks;  ///< plan->reads and the text's own, for purges by query
};

class Planner {
 public:
  Planner(cache::Cache& cache, const CacheKeeper& keeper, TextMemo& texts);

  /// Valid until the text is planned again.
  const TextPlan& plan(TextInfo& text, const SettingsRef& settings);
  const cache::Policy& policy();
  /// Whether a text that looks plain may run code that changes its session.
  bool may_hide_state();
  std::string table_name(const cache::Mark& mark);

  /// The mark by which answers to a text are purged.
  static cache::Mark& query_mark(cache::Cache& cache, std::string_view text);
  static cache::Mark& tag_mark(cache::Cache& cache, std::string_view tag);

 private:
  PlanRef make(std::shared_ptr<const sql::Analysis> analysis, const SettingsRef& settings);
  void judge(Plan& plan);
  void refresh();
  bool current(const Plan& plan, const SettingsRef& settings) const;

  static constexpr std::size_t kKept = 4096;
  cache::Cache& cache_;
  const CacheKeeper& keeper_;
  TextMemo& texts_;
  KnownCatalog known_;
  bool may_hide_state_ = true;  // of known_
  std::shared_ptr<const cache::Policy> policy_;
  std::uint64_t policy_generation_ = 0;
  boost::unordered_flat_map<const sql::Analysis*, PlanRef> plans_;
};

/// Settings under which the text may mean other things to the server than to the parser.
bool is_unsure(const SettingsRef& settings);

}  // namespace hyperdrive::proxy::session::postgres
