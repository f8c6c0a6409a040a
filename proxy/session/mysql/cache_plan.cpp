#include "proxy/session/mysql/cache_plan.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "proxy/sql/mysql_analysis.hpp"

namespace hyperdrive::proxy::session::mysql {

using sql::CacheStatus;
using sql::Effect;

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
  return out;
}

/// `a;` and `a` are one query to whoever purges it.
std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kEdge = " \t\r\n\f;";
  const auto first = text.find_first_not_of(kEdge);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kEdge) - first + 1);
}

/// A value that is not known to leave a switch off.
bool may_be_on(const std::string* value) {
  if (value == nullptr) return false;
  const std::string word = lower(*value);
  return word != "0" && word != "off" && word != "false" && word != "'off'" && word != "'0'";
}

/// Character sets whose texts hold nothing that looks like ASCII or a blank and is not.
bool reads_as_ascii(std::string_view charset) {
  constexpr std::array<std::string_view, 5> kSafe = {"utf8", "utf8mb3", "utf8mb4", "ascii",
                                                     "binary"};
  std::string name = lower(charset.substr(0, charset.find(' ')));
  std::erase(name, '\'');
  std::erase(name, '"');
  return std::find(kSafe.begin(), kSafe.end(), name) != kSafe.end();
}

/// Variables by which a SELECT's answer depends on more than rows, or says more than its rows.
std::string refusal_of(const State& state, const OriginDefaults& defaults) {
  const std::string* null_is_last = state.find("sql_auto_is_null");
  if (may_be_on(null_is_last) || (null_is_last == nullptr && defaults.auto_is_null)) {
    return "sql_auto_is_null makes IS NULL ask for the last insert id";
  }
  const std::string* level = state.find("tx_isolation");
  if (level == nullptr) level = state.find("transaction_isolation");
  if (level == nullptr) level = state.find("transaction");
  const bool uncommitted = level != nullptr ? lower(*level).find("uncommitted") != std::string::npos
                                            : defaults.reads_uncommitted;
  if (uncommitted) return "READ UNCOMMITTED sees what may be rolled back";
  for (const std::string_view name :
       {"system_versioning_asof", "profiling", "pseudo_thread_id", "rand_seed1", "rand_seed2",
        "timestamp", "last_insert_id", "insert_id", "identity", "sql_log_bin"}) {
    if (state.find(name) != nullptr) return "the session has set " + std::string(name);
  }
  return {};
}

}  // namespace

bool same_lexing(const sql::MysqlLexing& a, const sql::MysqlLexing& b) {
  return a.ansi_quotes == b.ansi_quotes && a.no_backslash_escapes == b.no_backslash_escapes &&
         a.unsafe_charset == b.unsafe_charset;
}

Planner::Planner(cache::Cache& cache, const CacheKeeper& keeper,
                 const std::shared_ptr<const Options>& options)
    : cache_(cache), keeper_(keeper), options_(options) {
  refresh();
}

void Planner::refresh() {
  if (known_.generation != keeper_.generation()) known_ = keeper_.catalog();
  if (policy_generation_ == cache_.policy_generation()) return;
  // The generation first: a policy that comes in between is fetched again next time.
  policy_generation_ = cache_.policy_generation();
  policy_ = cache_.policy();
}

const cache::Policy& Planner::policy() {
  if (policy_generation_ != cache_.policy_generation()) refresh();
  return *policy_;
}

// --- who asks
// ----------------------------------------------------------------------------------------

const Asker& Planner::asker(const StateRef& state) {
  constexpr std::size_t kKept = 1024;
  refresh();
  const bool outdated = askers_generation_ != known_.generation || askers_options_ != options_;
  if (outdated || askers_.size() > kKept) {
    askers_.clear();
    askers_generation_ = known_.generation;
    askers_options_ = options_;
  }
  auto& known = askers_[state.get()];
  if (!known) known = std::make_shared<const Asker>(make_asker(state));
  return *known;
}

Asker Planner::make_asker(const StateRef& state) const {
  Asker asker;
  asker.state = state;
  const auto add = [&](std::string_view text) { asker.key.append(text).append(1, '\0'); };
  add(options_->config.origin.user);
  add(known_.defaults.sql_mode);
  add(state->database);
  for (const Variable& variable : state->variables) {
    add(variable.name);
    add(variable.value);
  }
  asker.key += '\1';
  const std::string* mode = state->find("sql_mode");
  const std::string words = lower(mode != nullptr ? *mode : known_.defaults.sql_mode);
  if (mode != nullptr) {
    asker.lexing = state->lexing();
  } else {
    auto by_default = std::make_shared<State>();
    by_default->variables.push_back({"sql_mode", known_.defaults.sql_mode});
    asker.lexing = by_default->lexing();
  }
  for (const Variable& variable : state->variables) {
    const bool charset = variable.name == "names" || variable.name == "character_set" ||
                         variable.name == "character_set_client";
    if (charset) asker.lexing.unsafe_charset = !reads_as_ascii(variable.value);
  }
  asker.is_unsure = words.find("oracle") != std::string::npos ||
                    (mode != nullptr && mode->find_first_of("@(") != std::string::npos);
  asker.refusal =
      asker.is_unsure ? "sql_mode changes how a text is read" : refusal_of(*state, known_.defaults);
  return asker;
}

// --- what is asked
// -----------------------------------------------------------------------------------

bool Planner::current(const Plan& plan, const Asker& asker) const {
  return plan.catalog_generation == keeper_.generation() &&
         plan.policy_generation == cache_.policy_generation() &&
         plan.database == asker.state->database && same_lexing(plan.lexing, asker.lexing) &&
         plan.is_unsure == asker.is_unsure;
}

const Plan& Planner::plan(TextInfo& text, const Asker& asker) {
  auto* kept = static_cast<Plan*>(text.gate_data.get());
  if (kept != nullptr && current(*kept, asker)) return *kept;
  refresh();
  auto plan = std::make_shared<Plan>();
  plan->database = asker.state->database;
  plan->lexing = asker.lexing;
  plan->is_unsure = asker.is_unsure;
  plan->catalog_generation = known_.generation;
  plan->policy_generation = policy_generation_;
  if (text.cut || same_lexing(text.lexing, asker.lexing)) {
    TextMemo::analysis(text);
    plan->analysis = text.analysis;
  } else {
    plan->analysis = sql::analyse_mysql(text.text, asker.lexing);
  }
  for (const sql::Statement& statement : plan->analysis->statements) {
    // PREPARE among its words: whoever commits such a transaction may be somebody else.
    const auto& words = plan->analysis->mysql.words;
    plan->prepares_xa = plan->prepares_xa ||
                        (statement.command == "XA" &&
                         std::binary_search(words.begin(), words.end(), std::string("prepare")));
    const bool adds = statement.command == "INSERT" || statement.command == "REPLACE";
    plan->is_delayed = plan->is_delayed || (adds && std::binary_search(words.begin(), words.end(),
                                                                       std::string("delayed")));
  }
  judge(*plan, text);
  text.gate_data = plan;
  return *plan;
}

void Planner::judge(Plan& plan, const TextInfo& text) {
  const sql::Analysis& analysis = *plan.analysis;
  if (!known_.catalog || plan.is_unsure) {
    plan.status =
        analysis.status != CacheStatus::kMiss ? analysis.status : CacheStatus::kUncacheable;
    plan.reason = analysis.status != CacheStatus::kMiss ? analysis.reason
                  : known_.catalog                      ? "sql_mode changes how a text is read"
                                                        : "the origin's catalogs are not known yet";
    const auto harmless = [](const sql::Statement& statement) {
      return statement.effect >= Effect::kBegin && statement.effect != Effect::kExecute &&
             !statement.unknown_targets && statement.writes.empty();
    };
    plan.changes_catalog = sql::changes_mysql_catalog(analysis);
    plan.writes_everything = plan.is_unsure || !std::all_of(analysis.statements.begin(),
                                                            analysis.statements.end(), harmless);
    return;
  }
  const sql::MysqlResolution resolution = known_.catalog->resolve(analysis, plan.database);
  plan.status = resolution.status;
  plan.reason = resolution.reason;
  plan.writes_everything = resolution.writes_everything;
  plan.changes_catalog = resolution.changes_catalog;
  plan.calls_keep_role = !known_.catalog->calls_may_set_role();
  plan.leaves_state = resolution.leaves_state;
  plan.times_meet_parameters = resolution.times_meet_parameters;
  plan.dates_meet_parameters = resolution.dates_meet_parameters;
  for (const auto id : resolution.writes) plan.writes.push_back(&cache_.epochs().table(id));
  if (plan.status != CacheStatus::kMiss) return;
  std::vector<std::string> names;
  for (const auto id : resolution.tables) {
    plan.reads.push_back(&cache_.epochs().table(id));
    names.push_back(known_.catalog->table_name(id));
  }
  for (const std::string& tag : analysis.hints.tags) plan.reads.push_back(&tag_mark(cache_, tag));
  plan.reads.push_back(&query_mark(cache_, text.text));
  cache::Terms terms = policy_->terms(names, analysis.hints);
  plan.lifetime = terms.lifetime;
  if (!terms.bypass) return;
  plan.status = CacheStatus::kBypass;
  plan.reason = std::move(terms.reason);
}

bool Planner::may_hide_state() {
  refresh();
  return !known_.catalog || known_.catalog->may_hide_state();
}

std::string Planner::table_name(const cache::Mark& mark) {
  refresh();
  if (&mark == &cache_.epochs().database()) return "something in the database";
  std::string name;
  if (known_.catalog) name = known_.catalog->table_name(mark.id());
  return name.empty() ? "a table" : name;
}

cache::Mark& Planner::query_mark(cache::Cache& cache, std::string_view text) {
  return cache.epochs().tag("query:" + std::string(trimmed(text)));
}

cache::Mark& Planner::tag_mark(cache::Cache& cache, std::string_view tag) {
  return cache.epochs().tag("tag:" + std::string(tag));
}

}  // namespace hyperdrive::proxy::session::mysql
