#include "proxy/session/postgres/cache_plan.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace hyperdrive::proxy::session::postgres {

using sql::CacheStatus;
using sql::Effect;

namespace {

std::string_view setting(const SettingsRef& settings, std::string_view name,
                         std::string_view otherwise) {
  const std::string* value = settings ? settings->find(name) : nullptr;
  return value != nullptr ? std::string_view(*value) : otherwise;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

/// `a;` and `a` are one query to whoever purges it.
std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kEdge = " \t\r\n\f;";
  const auto first = text.find_first_not_of(kEdge);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kEdge) - first + 1);
}

bool may_commit_inside(const sql::Analysis& analysis) {
  if (analysis.statements.size() != 1) return true;
  const Effect effect = analysis.statements.front().effect;
  return effect == Effect::kUnknownWrite || effect == Effect::kExecute || effect == Effect::kOther;
}

/// EXPLAIN evaluates what is called IMMUTABLE; VACUUM, ANALYZE, REINDEX, CLUSTER what indexes are
/// made of. The analysis of such statements names no functions.
bool evaluates_unseen(const sql::Analysis& analysis) {
  return std::any_of(
      analysis.statements.begin(), analysis.statements.end(), [](const sql::Statement& statement) {
        return statement.effect == Effect::kExplain || statement.effect == Effect::kOther;
      });
}

}  // namespace

bool is_unsure(const SettingsRef& settings) {
  if (lower(setting(settings, "standard_conforming_strings", "on")) == "off") return true;
  // Encodings whose characters may hold ASCII bytes behind their first.
  constexpr std::array<std::string_view, 8> kUnsafe = {
      "sjis", "shift_jis_2004", "shiftjis", "big5", "gbk", "uhc", "gb18030", "johab"};
  const std::string encoding = lower(setting(settings, "client_encoding", "utf8"));
  return std::find(kUnsafe.begin(), kUnsafe.end(), encoding) != kUnsafe.end() ||
         encoding.find("jis") != std::string::npos || encoding.find("win9") == 0;
}

Planner::Planner(cache::Cache& cache, const CacheKeeper& keeper, TextMemo& texts)
    : cache_(cache), keeper_(keeper), texts_(texts) {
  refresh();
}

void Planner::refresh() {
  if (known_.generation != keeper_.generation()) {
    known_ = keeper_.catalog();
    may_hide_state_ = !known_.catalog || known_.catalog->may_hide_state();
  }
  if (policy_generation_ == cache_.policy_generation()) return;
  // The generation first: a policy that comes in between is fetched again next time.
  policy_generation_ = cache_.policy_generation();
  policy_ = cache_.policy();
}

const cache::Policy& Planner::policy() {
  if (policy_generation_ != cache_.policy_generation()) refresh();
  return *policy_;
}

bool Planner::may_hide_state() {
  if (known_.generation != keeper_.generation()) refresh();
  return may_hide_state_;
}

bool Planner::current(const Plan& plan, const SettingsRef& settings) const {
  return plan.settings == settings && plan.catalog_generation == keeper_.generation() &&
         plan.policy_generation == cache_.policy_generation();
}

const TextPlan& Planner::plan(TextInfo& text, const SettingsRef& settings) {
  auto* kept = static_cast<TextPlan*>(text.gate_data.get());
  if (kept != nullptr && current(*kept->plan, settings)) return *kept;
  refresh();
  texts_.analysis(text);
  PlanRef& known = plans_[text.analysis.get()];
  if (!known || !current(*known, settings)) known = make(text.analysis, settings);
  auto fresh = std::make_shared<TextPlan>();
  fresh->plan = known;
  if (known->status == CacheStatus::kMiss) {
    fresh->marks = known->reads;
    fresh->marks.push_back(&query_mark(cache_, text.text));
  }
  text.gate_data = fresh;
  // Plans hold their analyses, so that an address is never met again with another meaning.
  if (plans_.size() > kKept) plans_.clear();
  return *fresh;
}

PlanRef Planner::make(std::shared_ptr<const sql::Analysis> analysis, const SettingsRef& settings) {
  auto plan = std::make_shared<Plan>();
  plan->analysis = std::move(analysis);
  plan->settings = settings;
  plan->catalog_generation = known_.generation;
  plan->policy_generation = policy_generation_;
  plan->may_commit_inside = may_commit_inside(*plan->analysis);
  plan->has_invalid_hints = !plan->analysis->hints.invalid.empty();
  for (const sql::Statement& statement : plan->analysis->statements) {
    if (statement.effect == Effect::kPrepareTransaction) plan->prepares = statement.argument;
  }
  judge(*plan);
  plan->runs_unknown_code = plan->runs_unknown_code || evaluates_unseen(*plan->analysis);
  // Comes before whatever else forbids it.
  if (plan->analysis->hints.no_cache) {
    plan->status = CacheStatus::kBypass;
    plan->reason = "its comment says no-cache";
  }
  return plan;
}

void Planner::judge(Plan& plan) {
  const sql::Analysis& analysis = *plan.analysis;
  if (!known_.catalog || is_unsure(plan.settings)) {
    plan.reason = known_.catalog ? "the session's settings change how a text is read"
                                 : "the origin's catalogs are not known yet";
    if (analysis.status != CacheStatus::kMiss) {
      plan.status = analysis.status;
      plan.reason = analysis.reason;
    }
    const auto harmless = [](const sql::Statement& statement) {
      return statement.effect >= Effect::kBegin && statement.effect != Effect::kExecute &&
             statement.effect != Effect::kCreateTemp && !statement.unknown_targets &&
             statement.writes.empty();
    };
    plan.changes_catalog = std::any_of(
        analysis.statements.begin(), analysis.statements.end(),
        [](const sql::Statement& statement) { return statement.effect == Effect::kUnknownWrite; });
    plan.writes_everything =
        !std::all_of(analysis.statements.begin(), analysis.statements.end(), harmless);
    // Nor is it known what its functions leave behind in the connection.
    plan.runs_unknown_code = plan.writes_everything;
    return;
  }
  sql::Context context = known_.base;
  context.search_path = setting(plan.settings, "search_path", context.search_path);
  context.role = setting(plan.settings, "role", context.role);
  if (context.role == "none") context.role.clear();
  const sql::Resolution resolution = known_.catalog->resolve(analysis, context);
  plan.status = resolution.status;
  plan.reason = resolution.reason;
  plan.writes_everything = resolution.writes_everything;
  plan.changes_catalog = resolution.changes_catalog;
  plan.runs_unknown_code = resolution.writes_everything;
  for (const sql::Oid oid : resolution.writes) plan.writes.push_back(&cache_.epochs().table(oid));
  std::vector<std::string> names;
  for (const sql::Oid oid : resolution.tables) names.push_back(known_.catalog->table_name(oid));
  cache::Terms terms = policy_->terms(names, analysis.hints);
  if (terms.bypass) {
    plan.status = CacheStatus::kBypass;
    plan.reason = std::move(terms.reason);
  }
  if (plan.status != CacheStatus::kMiss) return;
  for (const sql::Oid oid : resolution.tables) {
    plan.reads.push_back(&cache_.epochs().table(oid));
  }
  for (const std::string& tag : analysis.hints.tags) plan.reads.push_back(&tag_mark(cache_, tag));
  plan.lifetime = terms.lifetime;
}

std::string Planner::table_name(const cache::Mark& mark) {
  refresh();
  if (&mark == &cache_.epochs().database()) return "something in the database";
  std::string name;
  if (known_.catalog) name = known_.catalog->table_name(static_cast<sql::Oid>(mark.id()));
  return name.empty() ? "a table" : name;
}

cache::Mark& Planner::query_mark(cache::Cache& cache, std::string_view text) {
  return cache.epochs().tag("query:" + std::string(trimmed(text)));
}

cache::Mark& Planner::tag_mark(cache::Cache& cache, std::string_view tag) {
  return cache.epochs().tag("tag:" + std::string(tag));
}

}  // namespace hyperdrive::proxy::session::postgres
