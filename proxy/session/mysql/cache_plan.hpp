// What the cache makes of a MySQL statement: may its answer be kept, on what does it depend, what
// does it write. Computed once for each text, way of reading it, database, catalog and policy.
//
// A Planner belongs to one worker. Plans are immutable and shared by reference count within it.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proxy/cache/cache.hpp"
#include "proxy/session/mysql/cache_keeper.hpp"
#include "proxy/session/mysql/session_state.hpp"
#include "proxy/session/mysql/text_info.hpp"
#include "proxy/session/mysql/worker.hpp"

namespace hyperdrive::proxy::session::mysql {

/// What a session's state means to the cache; one for all who share a state.
struct Asker {
  StateRef state;
  std::string key;          ///< everything of it that an answer may depend on
  sql::MysqlLexing lexing;  ///< how the origin reads its texts
  std::string refusal;      ///< why it is not served from the cache; empty: it may be
  bool is_unsure = false;   ///< its texts may mean other things than the analysis finds
};

struct Plan {
  std::shared_ptr<const sql::Analysis> analysis;
  std::string database;
  sql::MysqlLexing lexing;
  bool is_unsure = false;
  std::uint64_t catalog_generation = 0;
  std::uint64_t policy_generation = 0;

  sql::CacheStatus status = sql::CacheStatus::kUncacheable;  ///< kMiss: may be cached
  std::string reason;
  bool times_meet_parameters = false;  ///< see sql::MysqlResolution
  bool dates_meet_parameters = false;
  cache::Lifetime lifetime;
  std::vector<cache::Mark*> reads;  ///< tables, the comment's tags, the text's own

  std::vector<cache::Mark*> writes;
  bool writes_everything = false;
  bool changes_catalog = false;
  bool prepares_xa = false;
  bool is_delayed = false;       ///< INSERT DELAYED
  bool calls_keep_role = false;  ///< no procedure can be one that sets a role
  bool leaves_state = false;     ///< see sql::MysqlResolution

  bool writes_anything() const { return writes_everything || changes_catalog || !writes.empty(); }
};

bool same_lexing(const sql::MysqlLexing& a, const sql::MysqlLexing& b);

class Planner {
 public:
  /// `options`: the worker's, which a reload exchanges.
  Planner(cache::Cache& cache, const CacheKeeper& keeper,
          const std::shared_ptr<const Options>& options);

  /// Valid until asked again.
  const Asker& asker(const StateRef& state);
  /// Valid until the text is planned again.
  const Plan& plan(TextInfo& text, const Asker& asker);
  const cache::Policy& policy();
  std::string table_name(const cache::Mark& mark);
  /// False: the origin has no code of its users' that a plain statement may run.
  bool may_hide_state();

  /// The mark by which answers to a text are purged.
  static cache::Mark& query_mark(cache::Cache& cache, std::string_view text);
  static cache::Mark& tag_mark(cache::Cache& cache, std::string_view tag);

 private:
  void refresh();
  Asker make_asker(const StateRef& state) const;
  void judge(Plan& plan, const TextInfo& text);
  bool current(const Plan& plan, const Asker& asker) const;

  cache::Cache& cache_;
  const CacheKeeper& keeper_;
  const std::shared_ptr<const Options>& options_;
  KnownCatalog known_;
  std::shared_ptr<const cache::Policy> policy_;
  std::uint64_t policy_generation_ = 0;
  std::uint64_t askers_generation_ = 0;            // of the defaults that they were made by
  std::shared_ptr<const Options> askers_options_;  // … and whose user asks
  boost::unordered_flat_map<const State*, std::shared_ptr<const Asker>> askers_;
};

}  // namespace hyperdrive::proxy::session::mysql
