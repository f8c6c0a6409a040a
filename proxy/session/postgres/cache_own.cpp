// CacheGate: questions of its own: refreshing stale answers in the background, and asking the
// origin again for a share of the hits (--verify-sample).
#include <algorithm>
#include <utility>

#include "proxy/session/postgres/cache_gate.hpp"
#include "proxy/session/postgres/cache_tap.hpp"
#include "proxy/session/postgres/own_query.hpp"
#include "proxy/session/postgres/verify_tap.hpp"
#include "proxy/wire/postgres/build.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using cache::Found;
using State = cache::Tier::Verdict::State;
using Kind = GroupShape::Kind;

namespace {

/// The group that asks for the answer kept under the same key, whatever shape it was asked in.
std::string group_for(std::string_view text, std::string_view types, const GroupShape& shape) {
  std::vector<std::uint32_t> oids;
  for (std::size_t at = 0; at + 4 <= types.size(); at += 4) {
    oids.push_back(pg::load_u32(types.data() + at));
  }
  std::string group;
  pg::append_parse(group, "", text, std::span<const std::uint32_t>(oids));
  const bool extended = shape.kind == Kind::kExecute;
  const std::string_view values = extended ? shape.parameters : std::string_view("\0\0\0\0", 4);
  const std::string_view formats = extended ? shape.bind.result_formats.raw() : std::string_view();
  const std::size_t size = 4 + 2 + values.size() + 2 + formats.size();
  const auto append_number = [&group](std::size_t number, std::size_t bytes) {
    while (bytes-- > 0) group += static_cast<char>(number >> (8 * bytes));
  };
  group += static_cast<char>(pg::Frontend::kBind);
  append_number(size, 4);
  group.append(2, '\0').append(values);
  append_number(formats.size() / 2, 2);
  group += formats;
  pg::append_describe(group, pg::Target::kPortal, "");
  pg::append_execute(group, "", 0);
  pg::append_empty(group, pg::Frontend::kSync);
  return group;
}

}  // namespace

void CacheGate::ask_origin(Client& client, const Question& question, Own own) {
  const auto place = std::make_shared<Client*>(nullptr);
  auto over = [self = self_, place] {
    if (*self == nullptr || !(*self)->owns_.contains(*place)) return;
    (*place)->end_of_own_query();
  };
  auto stream = std::make_unique<OwnQuery>(
      worker_.loop, group_for(question.text->text, question.types, question.shape),
      std::move(over));
  Client& asker = worker_.open_own(std::move(stream));
  *place = &asker;
  owns_.emplace(&asker, std::move(own));
  asker.ask_in_place_of(client);
}

/// Whoever finds an answer stale first gets it at once, like all others, and the origin is asked
/// once more by the proxy itself.
void CacheGate::refresh(Client& client, const Question& question, const Found& found) {
  auto leader = cache_.board_refresh(result_key_, question.plan->marks, cache_.epochs().now());
  if (!leader) return;
  cache_.counters().add(cache::Count::kRefreshes);
  ask_origin(client, question, Own{found.entry, std::move(*leader), true});
}

/// A share of the hits is put to the origin, too (a cheap generator is random enough for that).
bool CacheGate::is_sampled() {
  const double share = planner_.policy().verify_sample;
  if (share <= 0) return false;
  constexpr std::size_t kAtOnce = 4;
  if (share < 1 && owns_.size() >= kAtOnce) return false;
  dice_ ^= dice_ << 13;
  dice_ ^= dice_ >> 7;
  dice_ ^= dice_ << 17;
  return static_cast<double>(dice_ >> 11) * 0x1p-53 < share;
}

void CacheGate::verify(Client& client, const Question& question, const Found& found) {
  ask_origin(client, question, Own{found.entry, {}, false});
}

Offer CacheGate::offer_own(Client& client, net::Bytes group, Own& own) {
  Offer offer;
  Question question;
  if (!ask(client, group, question)) return offer;
  if (!own.refreshes) {
    offer.verdict = Verdict::kCapture;
    offer.tap = std::make_shared<VerifyTap>(
        cache_, own.entry,
        [this, text = question.text, entry = own.entry] { announce_difference(*text, entry); });
    own.entry = {};
    return offer;
  }
  const bool outdated = question.plan->plan->catalog_generation != keeper_.generation() ||
                        question.plan->plan->status != sql::CacheStatus::kMiss;
  if (outdated || !own.leader) return offer;
  // The answer is for the other proxies, too: all that they have written until now is in it.
  const cache::Tier::Verdict* verdict = visits_.verdict(client);
  if (tier_.usable()) {
    if (verdict == nullptr) return ask_tier(client, question, false);
    if (verdict->state == State::kOpen && tier_.obeys_writes()) return offer;
  }
  auto tap = std::make_shared<CacheTap>(*this, std::move(own.leader), cache_.capture(),
                                        question.shape.kind);
  tap->result_key = own.entry->key();
  tap->plan = question.plan->plan;
  tap->marks = question.plan->marks;
  tap->stamp = cache_.epochs().now();
  tap->leader.dispatch(tap->stamp, tap->marks);
  tap->start = std::chrono::steady_clock::now();
  tap->stale = own.entry;
  if (verdict != nullptr && verdict->state == State::kCurrent) tap->epochs = verdict->epochs;
  visits_.of(client).tap = tap;
  own.entry = {};
  offer.verdict = Verdict::kCapture;
  offer.tap = std::move(tap);
  return offer;
}

/// It ended before it began.
void CacheGate::own_gone(Client& client) {
  const auto at = owns_.find(&client);
  if (at == owns_.end()) return;
  const Own own = std::move(at->second);
  owns_.erase(at);
  if (own.refreshes && own.entry) cache_.refresh_failed(*own.entry, worker_.loop.now());
}

}  // namespace hyperdrive::proxy::session::postgres
