// CacheGate: what is asked of, and told to, the tier shared with other proxies
// (proxy/session/shared_tier.hpp).
#include <utility>

#include "proxy/session/mysql/cache_gate.hpp"
#include "proxy/session/mysql/cache_tap.hpp"
#include "proxy/session/mysql/origin.hpp"

namespace hyperdrive::proxy::session::mysql {

using cache::Found;
using sql::CacheStatus;

// --- reads
// ------------------------------------------------------------------------------------------

/// An offer if the tier has to be asked first, or said that the answer must come from the origin
/// and not be kept. Otherwise `found` is what may be served: from memory, or just fetched.
std::optional<Offer> CacheGate::consult(Client& client, const Plan& plan, Found& found) {
  SharedTier::Verdict* verdict = visits_.verdict(client);
  const bool have = static_cast<bool>(found.entry);
  switch (tier_.course(verdict, have)) {
    case SharedTier::Course::kAsk:
      return ask_tier(client, plan, !have);
    case SharedTier::Course::kOrigin:
      visits_.take_landing(client);
      visits_.of(client).label = Label{CacheStatus::kMiss, {}};
      return Offer{};
    case SharedTier::Course::kGoOn:
      break;
  }
  if (verdict != nullptr && !have) {
    found = tier_.take(*verdict, key_, plan.reads, plan.lifetime, worker_.loop.now());
  }
  return std::nullopt;
}

Offer CacheGate::ask_tier(Client& client, const Plan& plan, bool wants_answer) {
  Visit& visit = visits_.wait(client, cache::Tier::kPatience);
  visit.waited = false;
  // Unless it says otherwise in time.
  visit.verdict.emplace().state = SharedTier::Verdict::State::kOpen;
  tier_.ask(worker_.loop, wants_answer ? key_ : std::string(), plan.reads,
            visits_.ender_here(visit));
  return Offer::waiting();
}

// --- writes
// -----------------------------------------------------------------------------------------

/// Whether the other proxies know of all that is about to be written there.
bool CacheGate::announced(Client& client, Origin& origin) {
  if (!tier_.obeys_writes() || !origin.gate_slot) return true;
  const auto& known = slot_of(origin).intent.announcement();
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
  if (origin == nullptr || !origin->gate_slot || !origin->at_rest()) return;
  slot_of(*origin).intent.roll_back();
  origin->gate_slot.reset();
}

}  // namespace hyperdrive::proxy::session::mysql
