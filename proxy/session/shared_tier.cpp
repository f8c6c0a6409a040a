#include "proxy/session/shared_tier.hpp"

#include <future>
#include <utility>

namespace hyperdrive::proxy::session {

using State = cache::Tier::Verdict::State;

namespace {

/// Redis is given up after half a second of silence (proxy/cache/tier.cpp).
constexpr std::chrono::seconds kPurgePatience{2};

bool wanted(const core::Config& config) {
  return !config.local.cache_url.empty() && !config.caching.disabled;
}

}  // namespace

SharedTier::SharedTier(cache::Cache& cache,
                       std::function<void(cache::WriteIntent)> everything_changed)
    : cache_(cache), everything_changed_(std::move(everything_changed)) {}

SharedTier::~SharedTier() { cache_.epochs().set_watcher(nullptr); }

cache::Tier& SharedTier::begin(const core::Config& config) {
  cache::TierOptions options = cache::TierOptions::of(config);
  promise_ = options.promise;
  tiers_.push_back(
      std::make_unique<cache::Tier>(*loop_, cache_, std::move(options), everything_changed_));
  cache::Tier& fresh = *tiers_.back();
  cache_.epochs().set_watcher(fresh.obeys_writes() ? &fresh : nullptr);
  tier_.store(&fresh, std::memory_order_release);
  return fresh;
}

void SharedTier::attach(net::Loop& loop, const core::Config& config) {
  loop_ = &loop;
  if (!wanted(config)) return;
  const std::lock_guard lock(mutex_);
  begin(config);
}

void SharedTier::start() {
  if (cache::Tier* tier = this->tier()) tier->start();
}

void SharedTier::leave_origin() {
  if (cache::Tier* tier = this->tier()) tier->retire();
}

void SharedTier::reload(const core::Config& config, bool new_origin) {
  const std::lock_guard lock(mutex_);
  if (tiers_.empty()) {
    if (wanted(config)) begin(config).start();
    return;
  }
  const bool same = !new_origin && cache::TierOptions::of(config).promise == promise_;
  if (same) return;
  tiers_.back()->retire();
  begin(config).start();
}

// --- reads
// ------------------------------------------------------------------------------------------

SharedTier::Course SharedTier::course(const Verdict* verdict, bool found) const {
  const cache::Tier* tier = this->tier();
  if (tier == nullptr) return Course::kGoOn;
  if (verdict != nullptr) {
    const bool open = verdict->state == State::kOpen && tier->obeys_writes();
    return open ? Course::kOrigin : Course::kGoOn;
  }
  const bool has_a_say = tier->usable() && (tier->obeys_writes() || !found);
  return has_a_say ? Course::kAsk : Course::kGoOn;
}

void SharedTier::ask(net::Loop& asker, std::string key, Marks marks,
                     std::function<void(Verdict)> then) const {
  cache::Tier* tier = this->tier();
  if (tier == nullptr) return then({});
  tier->check(std::move(key), std::move(marks),
              [loop = &asker, then = std::move(then)](Verdict verdict) {
                auto said = std::make_shared<Verdict>(std::move(verdict));
                loop->post([then, said] { then(std::move(*said)); });
              });
}

cache::Found SharedTier::take(Verdict& verdict, cache::Bytes key,
                              std::span<cache::Mark* const> marks, const cache::Lifetime& lifetime,
                              cache::TimePoint now) const {
  using Found = cache::Found;
  cache::Tier* tier = this->tier();
  if (tier == nullptr || verdict.answer.empty()) return {};
  Found found;
  found.entry = tier->adopt(verdict, key, marks, now);
  verdict.answer.clear();
  if (!found.entry) return {};
  found.age = std::chrono::duration_cast<std::chrono::milliseconds>(now - found.entry->created());
  if (found.age >= lifetime.end()) return {};
  found.state = found.age < lifetime.max_age ? Found::State::kFresh : Found::State::kStale;
  cache_.counters().add(cache::Count::kSharedHits);
  return found;
}

void SharedTier::share(const std::string& key, cache::Stamp stamp, std::string_view epochs,
                       std::chrono::milliseconds life) const {
  cache::Tier* tier = this->tier();
  if (tier == nullptr || epochs.empty()) return;
  const cache::EntryRef entry = cache_.peek(key);
  if (entry && entry->stamp() == stamp) tier->keep(*entry, epochs, life);
}

// --- writes
// -----------------------------------------------------------------------------------------

void SharedTier::when_known(net::Loop& asker, cache::Announcement& known,
                            std::function<void()> then) {
  known.when_known([loop = &asker, then = std::move(then)] { loop->post(then); });
}

// --- control
// ----------------------------------------------------------------------------------------

/// Own memory first, so that nothing older is kept there again; and not done until Redis says so.
cache::Purged SharedTier::purge(const Marks& marks) const {
  cache::Purged purged;
  for (cache::Mark* mark : marks) {
    const bool all = mark == &cache_.epochs().database();
    const cache::Purged one = all ? cache_.purge_all() : cache_.purge(*mark);
    purged.entries += one.entries;
    purged.bytes += one.bytes;
  }
  cache::Tier* tier = this->tier();
  if (tier == nullptr || cache_.policy()->disabled) return purged;
  auto told = std::make_shared<std::promise<bool>>();
  auto answer = told->get_future();
  tier->purge(marks, [told](bool done) { told->set_value(done); });
  answer.wait_for(kPurgePatience);
  return purged;
}

std::string SharedTier::warning() const {
  const cache::Tier* tier = this->tier();
  return tier == nullptr ? std::string() : tier->warning();
}

}  // namespace hyperdrive::proxy::session
