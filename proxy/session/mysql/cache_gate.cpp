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
      visits_(worker.loop, &Client::retry) {}

void CacheGate::gone(Client& client) {
  const Visit* visit = visits_.find(client);
  if (visit != nullptr && visit->announcing) take_back_announcement(client);
  visits_.forget(client);
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
  if (Visit* visit = visits_.find(client)) visit->label.reset();
  const Asker& asker = planner_.asker(question.state);
  const Plan& plan = this->plan(question.text, asker);
  const bool hopeful = plan.analysis->status == CacheStatus::kMiss;
  if (keeper_.generation() == 0 && hopeful && !visits_.has_waited_for_catalogs(client)) {
    return await_catalog(client, kAwaitCatalog);
  }
  Offer offer;
  if (auto label = refusal(question, asker, plan)) {
    visits_.take_landing(client);
    visits_.of(client).label = std::move(label);
  } else {
    offer = look_up(client, question, asker, plan);
  }
  if (offer.verdict == Verdict::kWait) return offer;
  if (offer.verdict != Verdict::kAnswered) client.has_waited(visits_.time_waited(client));
  question_ended(client);
  return offer;
}

/// Before the schema is known nobody knows what a statement hides in its connection.
Offer CacheGate::offer_uncached(Client& client) {
  if (keeper_.generation() != 0) return {};
  if (!visits_.has_waited_for_catalogs(client)) {
    return await_catalog(client, kAwaitCatalogUncached);
  }
  question_ended(client);
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
  cache::Landing landing = visits_.take_landing(client);
  if (landing.entry && landing.entry->key() == key_) {
    found = {};  // counts as a miss, though the origin was not asked again
    found.entry = landing.entry;
    cache_.counters().add(cache::Count::kCoalesced);
  }
  if (found.state == Found::State::kFresh && is_sampled()) return verify(client, question, found);
  if (found.entry && !is_turn_to_refresh(client, found)) return answer(client, question, found);
  // What a refresh brings is for the other proxies, too: all that they have written is in it.
  const bool must_ask = tier_.course(nullptr, false) == SharedTier::Course::kAsk;
  if (must_ask && visits_.verdict(client) == nullptr) {
    return ask_tier(client, plan, false);
  }
  return missed(client, plan, std::move(landing.leader));
}

Offer CacheGate::answer(Client& client, const Question& question, const Found& found) {
  const std::size_t bytes = serve(client.stream(), scratch_, *found.entry, client.capabilities());
  worker_.telemetry.add(Counter::kBytesToClients, bytes);
  cache::Counters& counters = cache_.counters();
  const CacheStatus status = found.status();
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
  const auto waited = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(visits_.time_waited(client)).count());
  worker_.telemetry.query.add(taken + waited);
  if (worker_.service.telemetry.listening()) {
    QueryEvent event;
    event.at = std::chrono::system_clock::now();
    event.client = client.id();
    event.sql = question.text.text;
    event.status = sql::name(status);
    event.reason = found.state == Found::State::kNone ? "answered with another client's miss"
                                                      : stale_reason(found);
    event.wait_us = waited;
    event.duration_us = taken + waited;
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
  if (!leader && visits_.has_waited(client)) {
    if (auto lead = cache_.board_refresh(key_, plan.reads, cache_.epochs().now())) {
      leader = std::move(*lead);
    }
  } else if (!leader) {
    cache::Boarding boarding = cache_.board(key_, plan.reads, visits_.ender_of_next());
    if (boarding.follower) {
      visits_.wait(client, kFollow).follower = std::move(boarding.follower);
      return Offer::waiting();
    }
    leader = std::move(boarding.leader);
  }
  Visit& visit = visits_.of(client);
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
  visits_.of(client).label = Label{CacheStatus::kHit, "asked again at the origin (verify)"};
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
  if (const Visit* visit = visits_.find(client); visit != nullptr && visit->refreshes) return true;
  const std::uint64_t hash = found.entry->hash();
  if (found.refresh) {
    if (to_refresh_.size() >= kRemembered) to_refresh_.clear();
    to_refresh_.insert(hash);
    return false;
  }
  if (!to_refresh_.contains(hash) || worker_.pool().gauges().idle == 0) return false;
  to_refresh_.erase(hash);
  visits_.of(client).refreshes = true;
  cache_.counters().add(cache::Count::kRefreshes);
  return true;
}

std::string CacheGate::stale_reason(const Found& found) {
  if (found.written == nullptr) return {};
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(found.written_ago).count();
  return fmt::format("{} was written {} s ago", planner_.table_name(*found.written), seconds);
}

// --- waiting
// ----------------------------------------------------------------------------------------

Offer CacheGate::await_catalog(Client& client, std::chrono::milliseconds time) {
  visits_.await_catalogs(client, keeper_, time);
  return Offer::waiting();
}

void CacheGate::question_ended(Client& client) {
  if (Visit* visit = visits_.find(client)) visit->refreshes = false;
  visits_.question_ended(client);
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
