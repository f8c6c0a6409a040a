// CacheGate: what is asked of, and told to, the tier shared with other proxies
// (proxy/session/shared_tier.hpp).
#include <utility>

#include "proxy/session/postgres/cache_gate.hpp"
#include "proxy/session/postgres/cache_tap.hpp"
#include "proxy/session/postgres/origin.hpp"

namespace hyperdrive::proxy::session::postgres {

using cache::Found;
using sql::CacheStatus;
using State = cache::Tier::Verdict::State;

// --- reads
// ------------------------------------------------------------------------------------------

/// An offer if the tier has to be asked first, or said that the answer must come from the origin
/// and not be kept. Otherwise `found` is what may be served: from memory, or just fetched.
std::optional<Offer> CacheGate::consult(Client& client, const Question& question, Found& found) {
  SharedTier::Verdict* verdict = visits_.verdict(client);
  const bool have = static_cast<bool>(found.entry);
  switch (tier_.course(verdict, have)) {
    case SharedTier::Course::kAsk:
      return ask_tier(client, question, !have);
    case SharedTier::Course::kOrigin:
      if (question.shape.answers_rows()) {
        visits_.of(client).label = Label{CacheStatus::kMiss, {}};
      }
      return Offer{};
    case SharedTier::Course::kGoOn:
      break;
  }
  if (verdict == nullptr || have) return std::nullopt;
  const std::string& key = question.shape.answers_rows() ? result_key_ : description_key_;
  found = tier_.take(*verdict, key, question.plan->marks, question.plan->plan->lifetime,
                     worker_.loop.now());
  return std::nullopt;
}

Offer CacheGate::ask_tier(Client& client, const Question& question, bool wants_answer) {
  std::string key;
  if (wants_answer) key = question.shape.answers_rows() ? result_key_ : description_key_;
  Visit& visit = visits_.wait(client, cache::Tier::kPatience);
  visit.waited = false;
  visit.verdict.emplace().state = State::kOpen;  // unless it says otherwise in time
  tier_.ask(worker_.loop, std::move(key), question.plan->marks, visits_.ender_here(visit));
  return Offer::waiting();
}

/// Gives what has just been stored to the others.
void CacheGate::share(const std::string& key, const CacheTap& tap) {
  tier_.share(key, tap.stamp, tap.epochs, tap.plan->lifetime.end());
}

// --- writes
// -----------------------------------------------------------------------------------------

bool CacheGate::may_run(Client& client, TextInfo& text) {
  if (!tier_.obeys_writes() || client.lease() == nullptr) return true;
  const PlanRef plan = planner_.plan(text, client.settings()).plan;
  if (!plan->writes_anything()) return true;
  mark_writes(client, *plan);
  return announced(client);
}

bool CacheGate::may_call(Client& client) {
  if (!tier_.obeys_writes() || client.lease() == nullptr) return true;
  PendingWrites& writes = client.lease()->writes;
  if (!writes.intent.pending()) writes.intent = cache_.epochs().begin_write();
  writes.intent.add_everything();
  return announced(client);
}

/// Whether the other proxies know of all that this client's connection is about to write.
bool CacheGate::announced(Client& client) {
  const std::shared_ptr<cache::Announcement> known = client.lease()->writes.intent.announcement();
  if (!known || !known->pending()) {
    if (Visit* visit = visits_.find(client)) visit->announcing = false;
    return true;
  }
  Visit& visit = visits_.wait(client, kFollow);
  visit.waited = false;
  visit.announcing = true;
  SharedTier::when_known(worker_.loop, *known, visits_.ender_here(visit));
  return false;
}

/// Its client left before the write was sent. If anything else is under way on the connection, the
/// end of that settles the intent.
void CacheGate::take_back_announcement(Client& client) {
  Origin* origin = client.lease();
  if (origin == nullptr || !origin->at_rest()) return;
  std::exchange(origin->writes, {}).intent.roll_back();
}

}  // namespace hyperdrive::proxy::session::postgres
