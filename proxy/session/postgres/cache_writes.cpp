// CacheGate: what statements write, and how they end.
#include <algorithm>
#include <utility>

#include "proxy/session/postgres/cache_gate.hpp"
#include "proxy/session/postgres/cache_tap.hpp"
#include "proxy/session/postgres/origin.hpp"

namespace hyperdrive::proxy::session::postgres {

using sql::CacheStatus;

void CacheGate::leased(Origin& origin) {
  origin.leased_at = cache_.epochs().now();
  const std::uint64_t generation = keeper_.generation();
  if (origin.catalog_generation == generation) return;
  origin.catalog_generation = generation;
  origin.forget_statements();
}

void CacheGate::will_run(Client& client, TextInfo& text) {
  Origin* origin = client.lease();
  if (origin == nullptr) return;
  const bool disabled = planner_.policy().disabled;
  if (disabled) {
    run_uncached(client, text);
    // Unless one began before the cache was disabled, there is nothing to remember.
    if (visits_.empty() && owns_.empty() && !client.told_of()) {
      return cache_.counters().add(CacheStatus::kDisabled);
    }
  }
  Visit& visit = visits_.of(client);
  Label label;
  if (disabled) {
    label = {CacheStatus::kDisabled, "caching is disabled"};
  } else {
    const PlanRef plan = planner_.plan(text, client.settings()).plan;
    if (plan->writes_anything()) mark_writes(client, *plan);
    widen_writes(*origin);
    if (plan->runs_unknown_code) origin->left.hidden = true;
    if (plan->has_invalid_hints) cache_.counters().add(cache::Count::kInvalidHints);
    if (client.told_of()) client.set_tables_written(tables_written(*plan));
    label = visit.label ? *visit.label : classify(client, text);
  }
  const auto tap = visit.tap.lock();
  visit.label.reset();
  visit.tap.reset();
  visit.describing = false;
  if (tap && !tap->done) {
    tap->stamp = origin->leased_at;
    tap->leader.dispatch(tap->stamp);
    // Judged by catalogs that are no longer in force: nothing of it may be kept.
    if (tap->plan->catalog_generation != keeper_.generation()) {
      tap->leader.fail();
      tap->done = true;
      if (!tap->stale) cache_.counters().add(CacheStatus::kMiss);
    }
  } else if (!owns_.contains(&client)) {
    cache_.counters().add(label.status);
  }
  if (client.told_of()) client.set_cache_outcome(label.status, std::move(label.reason));
  visits_.forget_if_idle(client);
}

/// Without caching only two things count: what the statement hides in its session, and what it may
/// change for whoever enables the cache meanwhile.
void CacheGate::run_uncached(Client& client, TextInfo& text) {
  Origin& origin = *client.lease();
  PendingWrites& writes = origin.writes;
  if (!text.read_only) {
    if (!writes.intent.pending()) writes.intent = cache_.epochs().begin_write();
    writes.intent.add_everything();
  }
  if (!may_hide(text)) return;
  const PlanRef plan = planner_.plan(text, client.settings()).plan;
  if (plan->runs_unknown_code) origin.left.hidden = true;
  if (plan->changes_catalog) change_schema(writes);
}

/// False: no catalog has to be asked to know that the statement leaves nothing in its session.
bool CacheGate::may_hide(const TextInfo& text) { return !text.plain || planner_.may_hide_state(); }

void CacheGate::will_bind(Client& client, TextInfo& text) {
  if (client.lease() == nullptr || !may_hide(text)) return;
  const PlanRef plan = planner_.plan(text, client.settings()).plan;
  if (!plan->runs_unknown_code) return;
  client.lease()->left.hidden = true;
  // Bind plans, and planning evaluates what is called STABLE or IMMUTABLE, whatever it does.
  if (plan->writes_everything && !planner_.policy().disabled) mark_writes(client, *plan);
}

/// What runs elsewhere from now on, until the catalogs have been read again, may run code that they
/// do not know yet.
void CacheGate::change_schema(PendingWrites& writes) {
  if (!writes.intent.pending()) writes.intent = cache_.epochs().begin_write();
  cache::Mark* schema = &keeper_.schema();
  writes.intent.add({&schema, 1});
  writes.coming.schema_changes = true;
}

/// For people: whose cached answers the statement ends. `*`: all of them.
std::vector<std::string> CacheGate::tables_written(const Plan& plan) {
  std::vector<std::string> names;
  if (plan.writes_everything || plan.changes_catalog) names.emplace_back("*");
  for (const cache::Mark* mark : plan.writes) names.push_back(planner_.table_name(*mark));
  std::sort(names.begin(), names.end());
  return names;
}

/// FunctionCall: it may do anything.
void CacheGate::will_call(Client& client) {
  Origin* origin = client.lease();
  if (origin == nullptr) return;
  if (!origin->writes.intent.pending()) origin->writes.intent = cache_.epochs().begin_write();
  origin->writes.intent.add_everything();
  origin->writes.coming.may_commit_inside = true;
  cache_.counters().add(CacheStatus::kNotAQuery);
}

void CacheGate::mark_writes(Client& client, const Plan& plan) {
  PendingWrites& writes = client.lease()->writes;
  if (!writes.intent.pending()) {
    writes.intent = cache_.epochs().begin_write();
    writes.generation = plan.catalog_generation;
    // While the schema is being changed the plan may not hold any more by the time it runs.
    const bool changing = cache_.epochs().database().open() && !client.in_transaction_block();
    if (changing) writes.intent.add_everything();
  }
  writes.intent.add(plan.writes);
  if (plan.writes_everything || plan.changes_catalog) writes.intent.add_everything();
  writes.coming.may_commit_inside |= plan.may_commit_inside;
  if (plan.changes_catalog) change_schema(writes);
  if (!plan.prepares.empty()) writes.prepared = plan.prepares;
}

/// Targets that were found by other catalogs than those in force may have led elsewhere by the time
/// of the write: a trigger, a partition, a cascade has come between.
void CacheGate::widen_writes(Origin& origin) {
  PendingWrites& writes = origin.writes;
  if (writes.intent.pending() && writes.generation != keeper_.generation()) {
    writes.intent.add_everything();
  }
}

/// Of a statement that was not offered, or is not for the cache: the first reason that applies.
CacheGate::Label CacheGate::classify(Client& client, TextInfo& text) {
  const Plan& plan = *planner_.plan(text, client.settings()).plan;
  if (plan.status == CacheStatus::kBypass) return {plan.status, plan.reason};
  if (client.pinned()) return {CacheStatus::kBypass, "the session is pinned"};
  const auto& statements = plan.analysis->statements;
  const bool begins = !statements.empty() && statements.front().effect == sql::Effect::kBegin;
  if (client.in_transaction_block() && !begins)
    return {CacheStatus::kTransaction, "inside a transaction"};
  if (text.text.size() > sql::kMaxQueryBytes) {
    return {CacheStatus::kOversizedQuery, "text and parameters are over 1 MiB"};
  }
  if (plan.status != CacheStatus::kMiss) return {plan.status, plan.reason};
  return {CacheStatus::kUncacheable, "part of a pipeline, or with a row limit"};
}

// --- ends
// -------------------------------------------------------------------------------------------

/// ReadyForQuery 'I' of this connection, not yet seen by its client.
void CacheGate::settle(Origin& origin) {
  // What ran here was judged by catalogs that were not in force any more.
  const cache::Mark& schema = keeper_.schema();
  const bool moved = schema.open() || schema.changed_at() > origin.leased_at;
  if (moved && !origin.is_being_cleaned()) origin.left.hidden = true;
  if (origin.writes.is_clear()) return origin.writes.begin_anew();
  if (!origin.writes.surely_undone()) widen_writes(origin);
  PendingWrites writes = std::exchange(origin.writes, {});
  if (writes.surely_undone()) return writes.intent.roll_back();
  if (!writes.prepared.empty()) {
    return keeper_.prepared(std::move(writes.intent), std::move(writes.prepared));
  }
  if (writes.had.schema_changes) return keeper_.schema_changed(std::move(writes.intent));
  writes.intent.commit();
}

void CacheGate::shape_changed(TextInfo& text) {
  cache_.epochs().purge(Planner::query_mark(cache_, text.text));
}

/// The connection is gone and nobody heard how its transaction ended.
void CacheGate::orphaned(Origin& origin) {
  PendingWrites writes = std::exchange(origin.writes, {});
  if (writes.intent.pending()) {
    keeper_.outcome_unknown(std::move(writes.intent), origin.identity().process_id);
  }
}

}  // namespace hyperdrive::proxy::session::postgres
