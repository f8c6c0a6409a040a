// CacheGate: what statements write, and how they end.
#include <utility>

#include "proxy/session/mysql/cache_gate.hpp"
#include "proxy/session/mysql/cache_tap.hpp"
#include "proxy/session/mysql/origin.hpp"

namespace hyperdrive::proxy::session::mysql {

using sql::CacheStatus;

PendingWrites& slot_of(Origin& origin) {
  if (!origin.gate_slot) origin.gate_slot = std::make_unique<PendingWrites>();
  return static_cast<PendingWrites&>(*origin.gate_slot);
}

bool CacheGate::will_run(Client& client, Origin& origin, TextInfo& text, const StateRef& state) {
  const bool misread = mark(origin, text, state);
  if (!announced(client, origin)) return false;
  constexpr std::string_view kDisabled = "caching is disabled";
  const bool is_disabled = planner_.policy().disabled;
  if (is_disabled && visits_.find(client) == nullptr) {
    cache_.counters().add(CacheStatus::kDisabled);
    client.set_cache_outcome(CacheStatus::kDisabled, kDisabled);
    return true;
  }
  Visit& visit = visits_.of(client);
  Label label{CacheStatus::kDisabled, std::string(kDisabled)};
  if (!is_disabled) {
    const Asker& asker = planner_.asker(state);
    label =
        visit.label ? std::move(*visit.label) : classify(client, asker, plan(text, asker), text);
  }
  const auto tap = visit.tap.lock();
  visit.label.reset();
  visit.tap.reset();
  if (tap && !tap->done) {
    tap->stamp = cache_.epochs().now();
    tap->leader.dispatch(tap->stamp);
    // Judged by a catalog that is no longer in force: nothing of it may be kept.
    if (misread || origin.is_of_the_past() || tap->catalog_generation != keeper_.generation()) {
      tap->leader.fail();
      tap->done = true;
      cache_.counters().add(CacheStatus::kMiss);
    }
  } else {
    cache_.counters().add(label.status);
  }
  client.set_cache_outcome(label.status, label.reason);
  visits_.forget_if_idle(client);
  return true;
}

/// What the statement writes, and may leave in its session. True: sql_mode's default at the origin
/// is not the one that the catalog was read with.
bool CacheGate::mark(Origin& origin, TextInfo& text, const StateRef& state) {
  if (planner_.policy().disabled) {
    run_uncached(origin, text, state);
    return false;
  }
  const Asker& asker = planner_.asker(state);
  const Plan& plan = this->plan(text, asker);
  const bool misread = !origin.reads_as(asker.lexing);
  if (origin.gate_slot) widen_writes(slot_of(origin));
  if (plan.writes_anything()) mark_writes(origin, plan);
  mark_state(origin, plan);
  if (misread && !text.read_only) mark_everything(origin);
  return misread;
}

/// What is understood of it touches tables, and no session.
void CacheGate::mark_state(Origin& origin, const Plan& plan) {
  origin.error_may_hide_state =
      plan.leaves_state || (plan.writes_everything && !only_defines(*plan.analysis));
  origin.calls_unsaid = origin.error_may_hide_state;
  origin.calls_keep_role = plan.calls_keep_role;
  if (plan.leaves_state) origin.dirty = true;
}

/// Without caching two things count: what the statement hides in its session; and whoever enables
/// the cache meanwhile must not keep what it changes, nor judge by the catalog of before.
void CacheGate::run_uncached(Origin& origin, TextInfo& text, const StateRef& state) {
  origin.error_may_hide_state = keeper_.generation() == 0;
  origin.calls_unsaid = origin.calls_keep_role = false;
  const bool may_hide = !text.plain || text.hidden || planner_.may_hide_state();
  const bool only_reads = text.read_only && !text.hidden;
  if (!may_hide) {
    if (!only_reads) mark_everything(origin);
    return;
  }
  // What is asked of the plan here is the same for all texts that are alike.
  const Asker& asker = planner_.asker(state);
  const TextRef alike = same_lexing(text.lexing, asker.lexing) ? worker_.texts.like(text) : &text;
  const Plan& plan = planner_.plan(*alike, asker);
  if (keeper_.generation() != 0) mark_state(origin, plan);
  if (only_reads) return;
  mark_everything(origin);
  if (text.plain) return;
  PendingWrites& writes = slot_of(origin);
  writes.schema_changes |= plan.changes_catalog;
  writes.prepares_xa |= plan.prepares_xa;
}

void CacheGate::mark_everything(Origin& origin) {
  PendingWrites& writes = slot_of(origin);
  if (!writes.intent.pending()) writes.intent = cache_.epochs().begin_write();
  writes.intent.add_everything();
}

void CacheGate::mark_writes(Origin& origin, const Plan& plan) {
  PendingWrites& writes = slot_of(origin);
  if (!writes.intent.pending()) {
    writes.intent = cache_.epochs().begin_write();
    writes.generation = plan.catalog_generation;
    // While the schema is being changed the plan may not hold any more by the time it runs.
    const bool alone = !origin.in_transaction() && origin.autocommit();
    if (alone && cache_.epochs().database().open()) writes.intent.add_everything();
  }
  writes.is_delayed |= plan.is_delayed;
  writes.intent.add(plan.writes);
  if (plan.writes_everything || plan.changes_catalog) writes.intent.add_everything();
  writes.schema_changes |= plan.changes_catalog;
  writes.prepares_xa |= plan.prepares_xa;
}

/// Targets that were found by another catalog than that in force may have led elsewhere by the time
/// of the write: a trigger, a view, a cascade has come between.
void CacheGate::widen_writes(PendingWrites& writes) {
  if (writes.intent.pending() && writes.generation != keeper_.generation()) {
    writes.intent.add_everything();
  }
}

/// Of a statement that was not offered: the first reason that applies.
CacheGate::Label CacheGate::classify(Client& client, const Asker& asker, const Plan& plan,
                                     const TextInfo& text) {
  if (client.pinned()) return {CacheStatus::kBypass, "the session is pinned"};
  const auto& statements = plan.analysis->statements;
  const bool begins = !statements.empty() && statements.front().effect == sql::Effect::kBegin;
  const Origin* origin = client.lease();
  if (origin != nullptr && (origin->in_transaction() || !origin->autocommit()) && !begins) {
    return {CacheStatus::kTransaction, "inside a transaction"};
  }
  if (text.text.size() > sql::kMaxQueryBytes) {
    return {CacheStatus::kOversizedQuery, "text and parameters are over 1 MiB"};
  }
  if (plan.status != CacheStatus::kMiss) return {plan.status, plan.reason};
  if (!asker.refusal.empty()) return {CacheStatus::kUncacheable, asker.refusal};
  return {CacheStatus::kUncacheable, "with a cursor, or on a connection that is held"};
}

// --- ends
// -------------------------------------------------------------------------------------------

/// Its client has not seen the last packet yet. A rollback counts as a commit: engines without
/// transactions keep what they were told.
void CacheGate::answered(Origin& origin, const Ending& ending) {
  if (!origin.gate_slot || ending.in_transaction) return;
  auto& writes = slot_of(origin);
  if (!writes.intent.pending()) return;
  widen_writes(writes);
  PendingWrites ended;
  std::swap(ended.intent, writes.intent);
  std::swap(ended.schema_changes, writes.schema_changes);
  std::swap(ended.prepares_xa, writes.prepares_xa);
  std::swap(ended.is_delayed, writes.is_delayed);
  if (ended.prepares_xa) return keeper_.prepared(std::move(ended.intent));
  if (ended.is_delayed) return keeper_.delayed(std::move(ended.intent));
  if (ended.schema_changes) return keeper_.schema_changed(std::move(ended.intent));
  ended.intent.commit();
}

/// The connection is gone and nobody heard how its transaction ended.
void CacheGate::orphaned(Origin& origin) {
  if (!origin.gate_slot) return;
  auto& writes = slot_of(origin);
  if (writes.intent.pending()) {
    keeper_.outcome_unknown(std::move(writes.intent), origin.identity().connection_id);
  }
  origin.gate_slot.reset();
}

}  // namespace hyperdrive::proxy::session::mysql
