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
  const auto at = visits_.find(&client);
  const bool told = at != visits_.end() && at->second.verdict;
  const bool have = static_cast<bool>(found.entry);
  switch (tier_.course(told ? &*at->second.verdict : nullptr, have)) {
    case SharedTier::Course::kAsk:
      return ask_tier(client, plan, !have);
    case SharedTier::Course::kOrigin:
      take_landing(client);
      at->second.label = Label{CacheStatus::kMiss, {}};
      return Offer{};
    case SharedTier::Course::kGoOn:
      break;
  }
  if (told && !have) {
    found = tier_.take(*at->second.verdict, key_, plan.reads, plan.lifetime, worker_.loop.now());
  }
  return std::nullopt;
}

Offer CacheGate::ask_tier(Client& client, const Plan& plan, bool wants_answer) {
  const std::uint64_t ticket = next_ticket_;
  Offer waiting = wait(client, cache::Tier::kPatience);
  Visit& visit = visits_[&client];
  visit.waited = false;
  // Unless it says otherwise in time.
  visit.verdict.emplace().state = SharedTier::Verdict::State::kOpen;
  tier_.ask(worker_.loop, wants_answer ? key_ : std::string(), plan.reads,
            [self = self_, ticket](SharedTier::Verdict verdict) {
              if (*self != nullptr) (*self)->tier_said(ticket, std::move(verdict));
            });
  return waiting;
}

void CacheGate::tier_said(std::uint64_t ticket, SharedTier::Verdict verdict) {
  const auto at = waits_.find(ticket);
  if (at == waits_.end()) return;
  visits_[at->second].verdict = std::move(verdict);
  wake(ticket, {});
}

// --- writes
// -----------------------------------------------------------------------------------------

/// Whether the other proxies know of all that is about to be written there.
bool CacheGate::announced(Client& client, Origin& origin) {
  if (!tier_.obeys_writes() || !origin.gate_slot) return true;
  const auto& known = slot_of(origin).intent.announcement();
  if (!known || !known->pending()) {
    if (const auto at = visits_.find(&client); at != visits_.end()) at->second.announcing = false;
    return true;
  }
  const std::uint64_t ticket = next_ticket_;
  wait(client, kFollow);
  Visit& visit = visits_[&client];
  visit.waited = false;
  visit.announcing = true;
  SharedTier::when_known(worker_.loop, *known, [self = self_, ticket] {
    if (*self != nullptr) (*self)->wake(ticket, {});
  });
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
