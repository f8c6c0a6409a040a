#include "proxy/cache/cache.hpp"

#include <algorithm>
#include <utility>

namespace hyperdrive::proxy::cache {

namespace {
// A refresh that nobody reports about (its connection hangs) is tried again after this.
constexpr std::chrono::milliseconds kRefreshLease{30'000};
constexpr std::chrono::milliseconds kRefreshPause{1'000};
// All captures together may hold this share of the budget beside what is stored.
constexpr std::uint64_t kCaptureShare = 4;

std::chrono::milliseconds milliseconds(TimePoint::duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration);
}
}  // namespace

sql::CacheStatus Found::status() const {
  switch (state) {
    case State::kFresh:
      return sql::CacheStatus::kHit;
    case State::kStale:
      return sql::CacheStatus::kStale;
    case State::kNone:
      break;
  }
  return sql::CacheStatus::kMiss;
}

// --- capture
// ----------------------------------------------------------------------------------------

Capture& Capture::operator=(Capture&& other) noexcept {
  if (this == &other) return *this;
  drop();
  cache_ = std::exchange(other.cache_, nullptr);
  rows_ = std::move(other.rows_);
  other.rows_.clear();
  charged_ = std::exchange(other.charged_, 0);
  overflowed_ = other.overflowed_;
  return *this;
}

void Capture::append(Bytes rows) {
  if (cache_ == nullptr || overflowed_) return;
  if (rows_.size() + rows.size() > cache_->store_.max_entry()) {
    drop();
    overflowed_ = true;
    return;
  }
  rows_.append(rows);
  charge();
}

void Capture::charge() {
  const std::size_t footprint = rows_.footprint();
  if (footprint == charged_) return;
  const auto change =
      static_cast<std::ptrdiff_t>(footprint) - static_cast<std::ptrdiff_t>(charged_);
  charged_ = footprint;
  const std::ptrdiff_t total =
      cache_->captured_.fetch_add(change, std::memory_order_relaxed) + change;
  if (total > static_cast<std::ptrdiff_t>(cache_->store_.budget() / kCaptureShare)) {
    drop();
    overflowed_ = true;
  }
}

void Capture::drop() {
  if (cache_ == nullptr) return;
  cache_->captured_.fetch_sub(static_cast<std::ptrdiff_t>(charged_), std::memory_order_relaxed);
  charged_ = 0;
  rows_.clear();
}

// --- cache
// ------------------------------------------------------------------------------------------

Cache::Cache(const CacheOptions& options, Policy policy)
    : store_(options.budget, [this](const Entry& entry) { return !usable(entry); }),
      flights_(
          [this](Stamp stamp, std::span<Mark* const> marks) { return may_join(stamp, marks); }) {
  obeys_writes_ = policy.invalidation != core::Invalidation::kNone;
  policy_ = std::make_shared<const Policy>(std::move(policy));
}

/// Whether time alone decides about the entry from here on.
bool Cache::usable(const Entry& entry) const {
  if (!epochs_.unpurged_since(entry.stamp(), entry.marks())) return false;
  return !obeys_writes() || epochs_.unwritten_since(entry.stamp(), entry.marks());
}

bool Cache::may_join(Stamp stamp, std::span<Mark* const> marks) const {
  return epochs_.unpurged_since(stamp, marks) && epochs_.unwritten_since(stamp, marks) &&
         !epochs_.any_open(marks);
}

Found Cache::find(Bytes key, const Lifetime& lifetime, TimePoint now) {
  Found found;
  found.entry = store_.find(key);
  if (!found.entry) return found;
  Entry& entry = *found.entry;
  // The session's clock is read once a turn and may lag behind the thread that stored the entry.
  const auto age = std::max(now - entry.created(), TimePoint::duration::zero());
  if (age >= lifetime.end() || !usable(entry)) {
    store_.erase(entry);
    return {};
  }
  found.age = milliseconds(age);
  found.state = age < lifetime.max_age ? Found::State::kFresh : Found::State::kStale;
  if (found.state == Found::State::kStale) found.refresh = entry.claim_refresh(now, kRefreshLease);
  if (!obeys_writes()) {
    found.written = epochs_.stale_by(entry.stamp(), entry.marks());
    if (found.written != nullptr) {
      const auto ago = std::max(now - found.written->written(), TimePoint::duration::zero());
      found.written_ago = milliseconds(ago);
    }
  }
  return found;
}

Boarding Cache::board(Bytes key, std::span<Mark* const> marks, Wake wake) {
  return flights_.board(key, marks, epochs_.now(), std::move(wake));
}

std::optional<Leader> Cache::board_refresh(Bytes key, std::span<Mark* const> marks, Stamp stamp) {
  return flights_.lead(key, marks, stamp);
}

void Cache::refresh_failed(Entry& entry, TimePoint now) {
  counters_.add(Count::kRefreshFailures);
  entry.postpone_refresh(now + kRefreshPause);
}

bool Cache::comparable(const Entry& entry) const {
  return usable(entry) && !(obeys_writes() && epochs_.any_open(entry.marks()));
}

Capture Cache::capture() {
  Capture capture;
  capture.cache_ = this;
  return capture;
}

bool Cache::too_big(const Answer& answer, const Capture& capture) const {
  const std::uint64_t size = capture.size() + answer.key.size() + answer.head.size();
  return capture.overflowed_ || size > store_.max_entry();
}

EntryRef Cache::make(const Answer& answer, std::span<Mark* const> marks, Stamp stamp,
                     Capture capture, TimePoint now) {
  const EntryFacts facts{answer.key, answer.head, answer.tail, marks,
                         stamp,      now,         answer.cost, answer.row_count};
  EntryRef entry = Entry::make(facts, std::move(capture.rows_));
  capture.drop();
  return entry;
}

Cache::Outcome Cache::store(EntryRef entry) {
  // Open first, then age: a commit raises the age before it closes its marks.
  const bool overlapped = (obeys_writes() && epochs_.any_open(entry->marks())) || !usable(*entry);
  if (overlapped) {
    counters_.add(Count::kOverlapped);
    return Outcome::kOverlapped;
  }
  return store_.insert(std::move(entry)) ? Outcome::kStored : Outcome::kOversized;
}

Cache::Outcome Cache::finish(Leader leader, const Answer& answer, Capture capture, TimePoint now) {
  if (too_big(answer, capture)) {
    leader.refuse();
    return Outcome::kOversized;
  }
  EntryRef entry = make(answer, leader.marks(), leader.stamp(), std::move(capture), now);
  const Outcome outcome = store(entry);
  leader.land(std::move(entry));
  return outcome;
}

Cache::Outcome Cache::keep(const Answer& answer, std::span<Mark* const> marks, Stamp stamp,
                           Capture capture, TimePoint now) {
  if (too_big(answer, capture)) return Outcome::kOversized;
  return store(make(answer, marks, stamp, std::move(capture), now));
}

EntryRef Cache::adopt(const Answer& answer, std::span<Mark* const> marks, Stamp stamp, Capture rows,
                      TimePoint created) {
  if (too_big(answer, rows)) return {};
  EntryRef entry = make(answer, marks, stamp, std::move(rows), created);
  store(entry);
  return entry;
}

Purged Cache::purge(Mark& mark) {
  epochs_.purge(mark);
  return store_.sweep([this](const Entry& entry) { return !usable(entry); });
}

Purged Cache::purge_all() {
  epochs_.purge_all();
  return store_.clear();
}

Purged Cache::purge_table(TableId table) { return purge(epochs_.table(table)); }

std::shared_ptr<const Policy> Cache::policy() const {
  std::lock_guard lock(policy_mutex_);
  return policy_;
}

void Cache::reload(Policy policy) {
  const bool obeys = policy.invalidation != core::Invalidation::kNone;
  const bool changed = obeys != obeys_writes();
  {
    std::lock_guard lock(policy_mutex_);
    policy_ = std::make_shared<const Policy>(std::move(policy));
    obeys_writes_.store(obeys, std::memory_order_release);
    generation_.fetch_add(1, std::memory_order_acq_rel);
  }
  if (changed) purge_all();
}

}  // namespace hyperdrive::proxy::cache
