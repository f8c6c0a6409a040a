#include "proxy/cache/policy.hpp"

#include <algorithm>
#include <optional>

namespace hyperdrive::proxy::cache {

namespace {

bool matches(std::string_view glob, std::string_view text) {
  std::size_t g = 0, t = 0;
  std::size_t star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      resume = t;
    } else if (g < glob.size() && (glob[g] == '?' || glob[g] == text[t])) {
      ++g;
      ++t;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

void shorten(std::optional<int>& kept, std::optional<int> other) {
  if (other && (!kept || *other < *kept)) kept = other;
}

}  // namespace

bool matches_table(std::string_view glob, std::string_view qualified_table) {
  if (glob.find('.') == std::string_view::npos) {
    qualified_table = qualified_table.substr(qualified_table.find('.') + 1);
  }
  return matches(glob, qualified_table);
}

Policy Policy::of(const core::Config& config) {
  Policy policy;
  policy.disabled = config.caching.disabled;
  policy.invalidation = config.local.invalidation;
  policy.lifetime.max_age =
      std::chrono::seconds(config.caching.max_age.value_or(core::kDefaultMaxAge));
  policy.lifetime.stale_while_revalidate = std::chrono::seconds(
      config.caching.stale_while_revalidate.value_or(core::kDefaultStaleWhileRevalidate));
  policy.rules = config.local.cache_rules;
  policy.verify_sample = config.local.verify_sample;
  return policy;
}

Terms Policy::terms(std::span<const std::string> tables, const sql::Hints& hints) const {
  Terms terms{lifetime, false, {}};
  if (hints.no_cache) return {lifetime, true, "its comment says no-cache"};
  std::optional<int> max_age, swr;
  for (const std::string& table : tables) {
    const auto rule = std::find_if(
        rules.begin(), rules.end(),
        [&](const core::CacheRule& candidate) { return matches_table(candidate.table, table); });
    if (rule == rules.end()) continue;
    if (rule->no_cache) return {lifetime, true, "the rule for " + rule->table + " says no-cache"};
    shorten(max_age, rule->max_age);
    shorten(swr, rule->stale_while_revalidate);
  }
  if (hints.max_age) max_age = hints.max_age;
  if (hints.stale_while_revalidate) swr = hints.stale_while_revalidate;
  if (max_age) terms.lifetime.max_age = std::chrono::seconds(*max_age);
  if (swr) terms.lifetime.stale_while_revalidate = std::chrono::seconds(*swr);
  if (terms.lifetime.end().count() <= 0) {
    terms.bypass = true;
    terms.reason = "max-age and stale-while-revalidate are 0";
  }
  return terms;
}

}  // namespace hyperdrive::proxy::cache
