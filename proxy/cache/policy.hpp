// How long answers live and who decides: the config's caching settings, its rules for tables, and
// the statement's own control comment. Pure values; replaced as a whole when the config is
// reloaded.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.hpp"
#include "proxy/sql/analysis.hpp"

namespace hyperdrive::proxy::cache {

/// Ages between which an answer is fresh, then stale but served, then gone.
struct Lifetime {
  std::chrono::milliseconds max_age{0};
  std::chrono::milliseconds stale_while_revalidate{0};

  std::chrono::milliseconds end() const { return max_age + stale_while_revalidate; }
};

/// What holds for one statement.
struct Terms {
  Lifetime lifetime;
  bool bypass = false;  ///< a rule or the comment says no-cache, or nothing may live
  std::string reason;   ///< why bypass, in words
};

struct Policy {
  bool disabled = false;
  core::Invalidation invalidation = core::Invalidation::kNone;
  Lifetime lifetime{std::chrono::seconds(core::kDefaultMaxAge),
                    std::chrono::seconds(core::kDefaultStaleWhileRevalidate)};
  std::vector<core::CacheRule> rules;
  double verify_sample = 0;  ///< share of hits that are asked again and compared, 0-1

  static Policy of(const core::Config& config);

  /// The terms for a statement that reads `tables` ("schema.table"), with its comment's hints.
  /// For each table the first rule that matches it counts; over all tables the shortest times win
  /// and one no-cache suffices. The comment overrides times, and rules too, both ways except that
  /// `no-cache` anywhere wins.
  Terms terms(std::span<const std::string> tables, const sql::Hints& hints) const;
};

/// `*` and `?` as in file names; compares `table` if the glob has no dot, else `schema.table`. Case
/// counts, as it does for Postgres's folded names.
bool matches_table(std::string_view glob, std::string_view qualified_table);

}  // namespace hyperdrive::proxy::cache
