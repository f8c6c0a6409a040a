// CacheGate: from a command to an answer. The rest of its members: cache_writes.cpp.
#include "proxy/session/mysql/cache_gate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "proxy/session/mysql/cache_tap.hpp"
#include "proxy/session/mysql/verify_tap.hpp"

namespace hyperdrive::proxy::session::mysql {

using cache::Found;
using sql::CacheStatus;
using Clock = std::chrono::steady_clock;

namespace {

/// Types of parameters (low byte of each pair) that MySQL may combine with today's date.
bool has_type(net::Bytes types, std::initializer_list<std::uint8_t> wanted) {
  for (std::size_t at = 0; at + 1 < types.size(); at += 2) {
    const auto type = static_cast<std::uint8_t>(types[at]);
    if (std::find(wanted.begin(), wanted.end(), type) != wanted.end()) return true;
  }
  return false;
}
constexpr std::uint8_t kTimestamp = 7, kDate = 10, kTime = 11, kDatetime = 12, kNewDate = 14,
                       kTimestamp2 = 17, kDatetime2 = 18, kTime2 = 19;

void append_part(std::string& key, net::Bytes part) {
  const auto size = static_cast<std::uint32_t>(part.size());
  key.append(reinterpret_cast<const char*>(&size), sizeof size).append(part);
}

}  // namespace

CacheGate::CacheGate(Worker& worker, cache::Cache& cache, CacheKeeper& keeper, SharedTier& tier)
    : worker_(worker),
      cache_(cache),
      keeper_(keeper),
      tier_(tier),
      planner_(cache, keeper, worker.options),
      self_(std::make_shared<CacheGate*>(this)) {}

CacheGate::~CacheGate() { *self_ = nullptr; }

void CacheGate::gone(Client& client) {
  const auto at = visits_.find(&client);
  if (at == visits_.end()) return;
  if (at->second.ticket != 0) waits_.erase(at->second.ticket);
  if (at->second.announcing) take_back_announcement(client);
  visits_.erase(at);
}

// --- the question
// -----------------------------------------------------------------------------------

bool CacheGate::judges_plain_texts() { return !planner_.policy().disabled; }

const Plan& CacheGate::plan(TextInfo& text, const Asker& asker) {
  worker_.texts.analyse(text);
  return planner_.plan(text, asker);
}

Offer CacheGate::offer(Client& client, const Question& question) {
  if (planner_.policy().disabled) return offer_uncached(client);
  if (const auto at = visits_.find(&client); at != visits_.end()) at->second.label.reset();
  const Asker& asker = planner_.asker(question.state);
  const Plan& plan = this->plan(question.text, asker);
  const bool hopeful = plan.analysis->status == CacheStatus::kMiss;
  if (keeper_.generation() == 0 && hopeful) {
    const auto at = visits_.find(&client);
    if (at == visits_.end() || !at->second.waited_for_catalog) {
      return await_catalog(client, kAwaitCatalog);
    }
  }
  Offer offer;
  if (auto label = refusal(question, asker, plan)) {
    take_landing(client);
    visits_[&client].label = std::move(label);
  } else {
    offer = look_up(client, question, asker, plan);
  }
  if (offer.verdict != Verdict::kWait) forget_wait(client);
  return offer;
}

/// Before the schema is known nobody knows what a statement hides in its connection.
Offer CacheGate::offer_uncached(Client& client) {
  if (keeper_.generation() != 0) return {};
  const auto at = visits_.find(&client);
  if (at == visits_.end() || !at->second.waited_for_catalog) {
    return await_catalog(client, kAwaitCatalogUncached);
  }
  forget_wait(client);
  return {};
}

/// Why the answer must not come from the cache; nothing if it may.
std::optional<CacheGate::Label> CacheGate::refusal(const Question& question, const Asker& asker,
                                                   const Plan& plan) {
  const std::size_t size = question.text.text.size() + question.values.size();
  if (size > sql::kMaxQueryBytes && plan.status != CacheStatus::kBypass) {
    return Label{CacheStatus::kOversizedQuery, "text and parameters are over 1 MiB"};
  }
  if (plan.status != CacheStatus::kMiss) return Label{plan.status, plan.reason};
  if (!asker.refusal.empty()) return Label{CacheStatus::kUncacheable, asker.refusal};
  const bool times = plan.dates_meet_parameters && has_type(question.types, {kTime, kTime2});
  const bool dates =
      plan.times_meet_parameters &&
      has_type(question.types, {kTimestamp, kDate, kDatetime, kNewDate, kTimestamp2, kDatetime2});
  if (times || dates) {
    return Label{CacheStatus::kVolatile, "a TIME may be compared with a date, today's"};
  }
  return std::nullopt;
}

/// Two sessions share answers only if they are alike in everything that this holds.
void CacheGate::make_key(Client& client, const Question& question, const Asker& asker) {
  constexpr std::uint64_t kEnvelope =
      wire::mysql::capability::kDeprecateEof | wire::mysql::capability::kSessionTrack;
  const std::uint64_t shape = client.shape() & ~kEnvelope;
  key_.assign(asker.key);
  key_.append(reinterpret_cast<const char*>(&shape), sizeof shape);
  key_ += question.binary ? 'b' : 't';
  append_part(key_, question.text.text);
  if (!question.binary) return;
  append_part(key_, question.null_bitmap);
  append_part(key_, question.types);
  append_part(key_, question.values);
}

// --- the answer
// -------------------------------------------------------------------------------------

Offer CacheGate::look_up(Client& client, const Question& question, const Asker& asker,
                         const Plan& plan) {
  make_key(client, question, asker);
  Found found = cache_.find(key_, plan.lifetime, worker_.loop.now());
  if (auto offer = consult(client, plan, found)) return *std::move(offer);
  cache::Landing landing = take_landing(client);
  if (landing.entry && landing.entry->key() == key_) {
    found = {};  // counts as a miss, though the origin was not asked again
    found.entry = landing.entry;
    cache_.counters().add(cache::Count::kCoalesced);
  }
  if (found.state == Found::State::kFresh && is_sampled()) return verify(client, question, found);
  if (found.entry && !is_turn_to_refresh(client, found)) return answer(client, question, found);
  // What a refresh brings is for the other proxies, too: all that they have written is in it.
  if (tier_.course(nullptr, false) == SharedTier::Course::kAsk && !visits_[&client].verdict) {
    return ask_tier(client, plan, false);
  }
  return missed(client, plan, std::move(landing.leader));
}

Offer CacheGate::answer(Client& client, const Question& question, const Found& found) {
  const std::size_t bytes = serve(client.stream(), scratch_, *found.entry, client.capabilities());
  worker_.telemetry.add(Counter::kBytesToClients, bytes);
  cache::Counters& counters = cache_.counters();
  const CacheStatus status = status_of(found);
  counters.add(status);
  if (found.state != Found::State::kNone) {
    counters.add(cache::Count::kOriginMicroseconds,
                 static_cast<std::uint64_t>(found.entry->cost().count()));
  }
  if (found.written != nullptr) counters.add(cache::Count::kStaleHits);
  const auto spent =
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - worker_.loop.now());
  const auto taken = static_cast<std::uint64_t>(std::max<std::int64_t>(spent.count(), 0));
  worker_.telemetry.hit.add(taken);
  worker_.telemetry.query.add(taken);
  if (worker_.service.telemetry.listening()) {
    QueryEvent event;
    event.at = std::chrono::system_clock::now();
    event.client = client.id();
    event.sql = question.text.text;
    event.status = sql::name(status);
    event.reason = found.state == Found::State::kNone ? "answered with another client's miss"
                                                      : stale_reason(found);
    event.duration_us = taken;
    event.rows = found.entry->row_count();
    event.bytes = bytes;
    event.age_us = static_cast<std::uint64_t>(std::max<std::int64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(found.age).count(), 0));
    event.command = "SELECT";
    worker_.service.telemetry.sink()->publish(std::move(event));
  }
  Offer offer;
  offer.verdict = Verdict::kAnswered;
  return offer;
}

Offer CacheGate::missed(Client& client, const Plan& plan, cache::Leader leader) {
  const auto at = visits_.find(&client);
  const bool waited = at != visits_.end() && at->second.waited;
  if (!leader && waited) {
    if (auto lead = cache_.board_refresh(key_, plan.reads, cache_.epochs().now())) {
      leader = std::move(*lead);
    }
  } else if (!leader) {
    const std::uint64_t ticket = next_ticket_;
    cache::Boarding boarding = cache_.board(
        key_, plan.reads, [self = self_, loop = &worker_.loop, ticket](cache::Landing landing) {
          auto arrived = std::make_shared<cache::Landing>(std::move(landing));
          loop->post([self, ticket, arrived] {
            if (*self != nullptr) (*self)->wake(ticket, std::move(*arrived));
          });
        });
    if (boarding.follower) {
      visits_[&client].follower = std::move(boarding.follower);
      return wait(client, kFollow);
    }
    leader = std::move(boarding.leader);
  }
  Visit& visit = visits_[&client];
  visit.label = Label{CacheStatus::kMiss, {}};
  if (!leader || plan.catalog_generation != keeper_.generation()) return {};
  leader.dispatch(cache_.epochs().now(), plan.reads);
  auto tap =
      std::make_shared<CacheTap>(*this, std::move(leader), cache_.capture(), client.capabilities());
  tap->key = key_;
  tap->catalog_generation = plan.catalog_generation;
  tap->life = plan.lifetime.end();
  if (visit.verdict && visit.verdict->state == SharedTier::Verdict::State::kCurrent) {
    tap->epochs = visit.verdict->epochs;
  }
  tap->start = Clock::now();
  visit.tap = tap;
  Offer offer;
  offer.verdict = Verdict::kCapture;
  offer.tap = std::move(tap);
  return offer;
}

/// A share of the hits is answered by the origin and compared, if a connection is at hand (a cheap
/// generator is random enough for that).
bool CacheGate::is_sampled() {
  const double share = planner_.policy().verify_sample;
  if (share <= 0 || worker_.pool().gauges().idle == 0) return false;
  dice_ ^= dice_ << 13;
  dice_ ^= dice_ >> 7;
  dice_ ^= dice_ << 17;
  return static_cast<double>(dice_ >> 11) * 0x1p-53 < share;
}

Offer CacheGate::verify(Client& client, const Question& question, const Found& found) {
  visits_[&client].label = Label{CacheStatus::kHit, "asked again at the origin (verify)"};
  Offer offer;
  offer.verdict = Verdict::kCapture;
  offer.tap = std::make_shared<VerifyTap>(
      cache_, found.entry, (client.capabilities() & wire::mysql::capability::kDeprecateEof) != 0,
      [this, text = question.text.text, entry = found.entry] {
        announce_difference(text, *entry);
      });
  return offer;
}

void CacheGate::announce_difference(const std::string& text, const cache::Entry& entry) {
  if (!worker_.service.telemetry.listening()) return;
  QueryEvent event;
  event.at = std::chrono::system_clock::now();
  event.sql = text;
  event.status = sql::name(CacheStatus::kHit);
  event.reason = "verify: the origin answers differently now";
  event.rows = entry.row_count();
  event.age_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(worker_.loop.now() - entry.created())
          .count());
  worker_.service.telemetry.sink()->publish(std::move(event));
}

/// Who finds an answer stale first gets it at once; the next one asks the origin for all, if a
/// connection is at hand (a dead origin must not take stale answers away).
bool CacheGate::is_turn_to_refresh(Client& client, const Found& found) {
  constexpr std::size_t kRemembered = 4096;
  if (found.state != Found::State::kStale) return false;
  if (const auto at = visits_.find(&client); at != visits_.end() && at->second.refreshes) {
    return true;
  }
  const std::uint64_t hash = found.entry->hash();
  if (found.refresh) {
    if (to_refresh_.size() >= kRemembered) to_refresh_.clear();
    to_refresh_.insert(hash);
    return false;
  }
  if (!to_refresh_.contains(hash) || worker_.pool().gauges().idle == 0) return false;
  to_refresh_.erase(hash);
  visits_[&client].refreshes = true;
  cache_.counters().add(cache::Count::kRefreshes);
  return true;
}

CacheStatus CacheGate::status_of(const Found& found) {
  switch (found.state) {
    case Found::State::kFresh:
      return CacheStatus::kHit;
    case Found::State::kStale:
      return CacheStatus::kStale;
    case Found::State::kNone:
      break;  // it came with another client's miss
  }
  return CacheStatus::kMiss;
}

std::string CacheGate::stale_reason(const Found& found) {
  if (found.written == nullptr) return {};
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(found.written_ago).count();
  return fmt::format("{} was written {} s ago", planner_.table_name(*found.written), seconds);
}

// --- waiting
// ----------------------------------------------------------------------------------------

Offer CacheGate::await_catalog(Client& client, std::chrono::milliseconds time) {
  const std::uint64_t ticket = next_ticket_;
  Offer waiting = wait(client, time);
  visits_[&client].waited = false;
  visits_[&client].waited_for_catalog = true;
  keeper_.when_known([self = self_, loop = &worker_.loop, ticket] {
    loop->post([self, ticket] {
      if (*self != nullptr) (*self)->wake(ticket, {});
    });
  });
  return waiting;
}

Offer CacheGate::wait(Client& client, std::chrono::milliseconds time) {
  Visit& visit = visits_[&client];
  const std::uint64_t ticket = next_ticket_++;
  visit.ticket = ticket;
  visit.waited = true;
  waits_.emplace(ticket, &client);
  visit.timer = worker_.loop.timer([this, ticket] { wake(ticket, {}); });
  visit.timer->arm(time);
  Offer offer;
  offer.verdict = Verdict::kWait;
  return offer;
}

void CacheGate::wake(std::uint64_t ticket, cache::Landing landing) {
  const auto at = waits_.find(ticket);
  if (at == waits_.end()) return;  // gone; a lead that was handed over passes on
  Client& client = *at->second;
  waits_.erase(at);
  Visit& visit = visits_[&client];
  visit.ticket = 0;
  visit.follower.leave();
  visit.landing = std::move(landing);
  // A timer must not be destroyed by its own call.
  worker_.loop.defer([timer = std::shared_ptr<net::Timer>(std::move(visit.timer))] {});
  client.retry();
}

cache::Landing CacheGate::take_landing(Client& client) {
  const auto at = visits_.find(&client);
  return at == visits_.end() ? cache::Landing{} : std::exchange(at->second.landing, {});
}

void CacheGate::forget_wait(Client& client) {
  const auto at = visits_.find(&client);
  if (at == visits_.end()) return;
  at->second.waited = false;
  at->second.waited_for_catalog = false;
  at->second.refreshes = false;
  at->second.verdict.reset();
  forget_if_idle(client);
}

/// Idle clients cost nothing here.
void CacheGate::forget_if_idle(Client& client) {
  const auto at = visits_.find(&client);
  if (at == visits_.end()) return;
  if (at->second.ticket == 0 && !at->second.label) visits_.erase(at);
}

// --- keeping
// ----------------------------------------------------------------------------------------

void CacheGate::landed(CacheTap& tap, bool clean) {
  if (!clean || !tap.reader.whole()) {
    tap.leader.fail();
    cache_.counters().add(CacheStatus::kMiss);
    return;
  }
  const auto cost = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - tap.start);
  const std::string tail = tap.reader.tail();
  const cache::Cache::Answer answer{tap.key, tap.reader.head(), tail, cost, tap.reader.row_count()};
  const auto outcome =
      cache_.finish(std::move(tap.leader), answer, tap.reader.take_rows(), worker_.loop.now());
  if (outcome == cache::Cache::Outcome::kStored) {
    tier_.share(tap.key, tap.stamp, tap.epochs, tap.life);
  }
  const bool oversized = outcome == cache::Cache::Outcome::kOversized;
  cache_.counters().add(oversized ? CacheStatus::kOversizedResult : CacheStatus::kMiss);
}

}  // namespace hyperdrive::proxy::session::mysql
