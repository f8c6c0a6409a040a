// CacheGate: from a group to an answer. The rest of its members: cache_writes.cpp,
// cache_events.cpp.
#include "proxy/session/postgres/cache_gate.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "proxy/session/postgres/cache_tap.hpp"
#include "proxy/session/postgres/setting_text.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using cache::Found;
using sql::CacheStatus;
using Kind = GroupShape::Kind;
using Clock = std::chrono::steady_clock;

CacheGate::CacheGate(Worker& worker, cache::Cache& cache, CacheKeeper& keeper, Contexts& contexts,
                     SharedTier& tier)
    : worker_(worker),
      cache_(cache),
      keeper_(keeper),
      contexts_(contexts),
      tier_(tier),
      planner_(cache, keeper, worker.texts),
      visits_(worker.loop, &Client::retry_group),
      dice_(std::random_device{}() | 1ull << 32),
      self_(std::make_shared<CacheGate*>(this)) {}

CacheGate::~CacheGate() { *self_ = nullptr; }

void CacheGate::gone(Client& client) {
  own_gone(client);
  const Visit* visit = visits_.find(client);
  if (visit != nullptr && visit->announcing) take_back_announcement(client);
  visits_.forget(client);
}

// --- the question
// -----------------------------------------------------------------------------------

Offer CacheGate::offer(Client& client, net::Bytes group) {
  const char type = group.empty() ? '\0' : group.front();
  const bool may_ask = type == static_cast<char>(pg::Frontend::kQuery) ||
                       type == static_cast<char>(pg::Frontend::kParse) ||
                       type == static_cast<char>(pg::Frontend::kBind) ||
                       type == static_cast<char>(pg::Frontend::kDescribe);
  if (!may_ask) return {};
  if (planner_.policy().disabled) return offer_uncached(client);
  if (!owns_.empty()) {
    if (const auto own = owns_.find(&client); own != owns_.end()) {
      return offer_own(client, group, own->second);
    }
  }
  // A connection that is held has a pipeline open. What ran in it before may be uncommitted.
  if (client.lease() != nullptr && !is_describing(client)) return {};
  if (client.in_transaction_block()) return {};
  Question question;
  if (!ask(client, group, question)) return {};
  const bool ignorant = keeper_.generation() == 0;
  const bool hopeful = question.plan->plan->analysis->status == CacheStatus::kMiss;
  if (ignorant && hopeful && !visits_.has_waited_for_catalogs(client)) {
    return await_catalogs(client, kAwaitCatalogs);
  }
  Offer offer;
  if (auto label = refusal(question, group)) {
    visits_.take_landing(client);
    if (question.shape.answers_rows()) visits_.of(client).label = std::move(label);
  } else {
    offer = look_up(client, question);
  }
  if (offer.verdict == Verdict::kWait) return offer;
  if (offer.verdict != Verdict::kAnswered) client.has_waited(visits_.time_waited(client));
  const bool describes = question.shape.kind == Kind::kDescribe && !question.shape.syncs;
  if (describes && offer.verdict != Verdict::kAnswered) visits_.of(client).describing = true;
  visits_.question_ended(client);
  return offer;
}

/// Before the catalogs are known every connection is cleaned after use, and a session may find its
/// own busy with that: a short wait is cheaper.
Offer CacheGate::offer_uncached(Client& client) {
  if (keeper_.generation() != 0 || client.lease() != nullptr) return {};
  if (!visits_.has_waited_for_catalogs(client)) {
    return await_catalogs(client, kAwaitCatalogsUncached);
  }
  visits_.question_ended(client);
  return {};
}

bool CacheGate::ask(Client& client, net::Bytes group, Question& question) {
  question.shape = read_shape(group);
  const GroupShape& shape = question.shape;
  if (shape.kind == Kind::kOther || !is_ascii(shape.statement)) return false;
  if (shape.kind == Kind::kQuery || shape.parses) {
    // A name that is taken is the origin's error to make.
    if (!shape.statement.empty() && client.meaning(shape.statement).found) return false;
    question.text =
        shape.parses ? worker_.texts.get(shape.text) : worker_.texts.get_once(shape.text);
    question.types = shape.types.raw();
  } else {
    Client::Meaning meaning = client.meaning(shape.statement);
    if (!meaning.found || !meaning.text) return false;
    question.text = std::move(meaning.text);
    question.told = meaning.told;
    types_.clear();
    if (meaning.statement) {
      for (const std::uint32_t type : meaning.statement->types) {
        char bytes[sizeof type];
        pg::store_u32(bytes, type);
        types_.append(bytes, sizeof bytes);
      }
    }
    question.types = types_;
  }
  question.plan = &planner_.plan(*question.text, client.settings());
  return true;
}

/// Why the answer must not come from the cache; nothing if it may.
std::optional<CacheGate::Label> CacheGate::refusal(const Question& question, net::Bytes group) {
  const Plan& plan = *question.plan->plan;
  if (plan.status == CacheStatus::kBypass) return Label{plan.status, plan.reason};
  const std::size_t size = std::max(question.text->text.size(), group.size());
  if (size > sql::kMaxQueryBytes) {
    return Label{CacheStatus::kOversizedQuery, "text and parameters are over 1 MiB"};
  }
  if (plan.status != CacheStatus::kMiss) return Label{plan.status, plan.reason};
  if (question.shape.kind != Kind::kExecute) return std::nullopt;
  const pg::Bind& bind = question.shape.bind;
  std::size_t index = 0;
  for (const auto& value : bind.parameters) {
    const std::size_t at = 4 * index++;
    if (!value) continue;  // in binary, too: a text is the same bytes in both
    const std::uint32_t type =
        at + 4 <= question.types.size() ? pg::load_u32(question.types.data() + at) : 0;
    if (sql::parameter_is_volatile(*plan.analysis, type, *value)) {
      return Label{CacheStatus::kVolatile, "a parameter holds a word that means the present"};
    }
  }
  return std::nullopt;
}

/// Two sessions share answers only if they are alike in everything that this holds.
const std::string& CacheGate::context(Client& client) {
  constexpr std::size_t kKept = 1024;
  const bool moved = options_ != worker_.options;
  if (moved) options_ = worker_.options;
  if (moved || sharers_.size() > kKept) sharers_.clear();
  Sharers& sharers = sharers_[{client.settings().get(), client.reports().get()}];
  if (!sharers.context.empty()) return sharers.context;
  sharers.settings = client.settings();
  sharers.reports = client.reports();
  sharers.context =
      worker_.options->config.origin.user + '\0' + worker_.options->config.origin.database + '\0';
  for (const SettingsRef& set : {sharers.settings, sharers.reports}) {
    sharers.context += '\1';
    if (!set) continue;
    for (const auto& [name, value] : set->pairs()) {
      sharers.context.append(name).append(1, '\0').append(value).append(1, '\0');
    }
  }
  // The tier's keys must mean the same to every proxy.
  if (!tier_.configured()) sharers.context = contexts_.name(sharers.context);
  return sharers.context;
}

// --- the answer
// -------------------------------------------------------------------------------------

Offer CacheGate::look_up(Client& client, const Question& question) {
  const GroupShape& shape = question.shape;
  const cache::Lifetime& lifetime = question.plan->plan->lifetime;
  const std::string& asker = context(client);
  const auto now = worker_.loop.now();
  Found result, description;
  if (shape.describes_statement) {
    append_description_key(description_key_, asker, question.text->text, question.types);
    description = cache_.find(description_key_, lifetime, now);
  }
  if (shape.answers_rows()) {
    append_result_key(result_key_, asker, question.text->text, question.types, shape);
    result = cache_.find(result_key_, lifetime, now);
  }
  if (auto offer = consult(client, question, shape.answers_rows() ? result : description)) {
    return *std::move(offer);
  }
  // The answers of an open pipeline come from there.
  const bool held = client.lease() != nullptr;
  cache::Landing landing = visits_.take_landing(client);
  const std::string& key = shape.answers_rows() ? result_key_ : description_key_;
  if (landing.entry && landing.entry->key() == key) {
    Found& arrived = shape.answers_rows() ? result : description;
    arrived = {};  // counts as a miss, though the origin was not asked again
    arrived.entry = landing.entry;
    cache_.counters().add(cache::Count::kCoalesced);
  }
  if (!held && can_serve(shape, result.entry.get(), description.entry.get(), question.told)) {
    return answered(client, question, result, description);
  }
  return missed(client, question, std::move(landing.leader), held);
}

Offer CacheGate::answered(Client& client, const Question& question, const Found& result,
                          const Found& description) {
  const GroupShape& shape = question.shape;
  const std::size_t bytes =
      serve(client.stream(), scratch_, shape, result.entry.get(), description.entry.get());
  worker_.telemetry.add(Counter::kBytesToClients, bytes);
  Offer offer;
  offer.verdict = Verdict::kAnswered;
  if (shape.describes_statement) offer.told = kept_description(*description.entry);
  if (!shape.answers_rows()) return offer;
  cache::Counters& counters = cache_.counters();
  counters.add(result.status());
  if (result.state != Found::State::kNone) {
    counters.add(cache::Count::kOriginMicroseconds,
                 static_cast<std::uint64_t>(result.entry->cost().count()));
  }
  if (result.written != nullptr) counters.add(cache::Count::kStaleHits);
  if (question.plan->plan->has_invalid_hints) counters.add(cache::Count::kInvalidHints);
  announce_hit(client, question, result, bytes);
  if (result.refresh) {
    refresh(client, question, result);
  } else if (result.state == Found::State::kFresh && is_sampled()) {
    verify(client, question, result);
  }
  return offer;
}

Offer CacheGate::missed(Client& client, const Question& question, cache::Leader leader, bool held) {
  const GroupShape& shape = question.shape;
  const std::string& key = shape.answers_rows() ? result_key_ : description_key_;
  const auto& marks = question.plan->marks;
  const cache::Stamp stamp = held ? client.lease()->leased_at : cache_.epochs().now();
  if (!leader && (held || visits_.has_waited(client))) {
    if (auto lead = cache_.board_refresh(key, marks, stamp)) leader = std::move(*lead);
  } else if (!leader) {
    cache::Boarding boarding = cache_.board(key, marks, visits_.ender_of_next());
    if (boarding.follower) {
      visits_.wait(client, kFollow).follower = std::move(boarding.follower);
      return Offer::waiting();
    }
    leader = std::move(boarding.leader);
  }
  Visit& visit = visits_.of(client);
  if (shape.answers_rows()) visit.label = Label{CacheStatus::kMiss, {}};
  // After the stamp: whoever was judged by older catalogs keeps nothing.
  const bool outdated = question.plan->plan->catalog_generation != keeper_.generation();
  if (!leader || outdated) return {};
  leader.dispatch(stamp, marks);
  auto tap = std::make_shared<CacheTap>(*this, std::move(leader), cache_.capture(), shape.kind);
  if (shape.answers_rows()) tap->result_key = result_key_;
  if (shape.describes_statement) tap->description_key = description_key_;
  tap->told = question.told;
  tap->plan = question.plan->plan;
  tap->marks = marks;
  tap->stamp = stamp;
  tap->start = Clock::now();
  if (visit.verdict) tap->epochs = visit.verdict->epochs;
  if (shape.answers_rows()) visit.tap = tap;
  Offer offer;
  offer.verdict = Verdict::kCapture;
  offer.tap = std::move(tap);
  return offer;
}

// --- waiting
// ----------------------------------------------------------------------------------------

Offer CacheGate::await_catalogs(Client& client, std::chrono::milliseconds time) {
  visits_.await_catalogs(client, keeper_, time);
  return Offer::waiting();
}

bool CacheGate::is_describing(Client& client) {
  const Visit* visit = visits_.find(client);
  return visit != nullptr && visit->describing;
}

// --- keeping
// ----------------------------------------------------------------------------------------

void CacheGate::landed(CacheTap& tap, bool clean) {
  const AnswerReader& reader = tap.reader;
  const bool whole = clean && reader.clean();
  if (whole && !tap.description_key.empty() && reader.has_description()) keep_description(tap);
  if (tap.result_key.empty()) return tap.leader.fail();
  if (!whole || !reader.has_result()) {
    tap.leader.fail();
    if (tap.stale) return cache_.refresh_failed(*tap.stale, worker_.loop.now());
    cache_.counters().add(CacheStatus::kMiss);
    return;
  }
  std::uint64_t shape = tap.told.rows;
  if (!reader.columns().empty()) {
    shape = shape_of_columns(reader.columns());
  } else if (!reader.statement_columns().empty()) {
    shape = shape_of_columns(reader.statement_columns());
  }
  const std::string head = result_head(shape, reader.columns());
  const auto cost = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - tap.start);
  const std::string tail = reader.command_complete();
  const cache::Cache::Answer answer{tap.result_key, head, tail, cost, reader.row_count()};
  const auto outcome =
      cache_.finish(std::move(tap.leader), answer, tap.reader.take_rows(), worker_.loop.now());
  if (outcome == cache::Cache::Outcome::kStored) share(tap.result_key, tap);
  if (tap.stale) return;
  const bool oversized = outcome == cache::Cache::Outcome::kOversized;
  cache_.counters().add(oversized ? CacheStatus::kOversizedResult : CacheStatus::kMiss);
}

void CacheGate::keep_description(CacheTap& tap) {
  const AnswerReader& reader = tap.reader;
  const std::string head = description_head(
      {shape_of_parameters(reader.parameters()), shape_of_columns(reader.statement_columns())});
  const auto cost = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - tap.start);
  const cache::Cache::Answer answer{tap.description_key, head, {}, cost, 0};
  cache::Capture body = cache_.capture();
  body.append(reader.parameters());
  body.append(reader.statement_columns());
  if (tap.result_key.empty()) {
    cache_.finish(std::move(tap.leader), answer, std::move(body), worker_.loop.now());
  } else {
    cache_.keep(answer, tap.marks, tap.stamp, std::move(body), worker_.loop.now());
  }
  share(tap.description_key, tap);
}

}  // namespace hyperdrive::proxy::session::postgres
