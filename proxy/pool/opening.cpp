// Of the pool: when a connection is opened, and what follows from a failure.
#include <algorithm>
#include <utility>

#include "proxy/pool/pool.hpp"

namespace hyperdrive::proxy::pool {
namespace {

constexpr std::size_t kMaxOpening = 2;
constexpr std::chrono::milliseconds kFirstBackOff{50};

/// `grace`: how long waiters outlast an origin that was there and is restarting, or is full.
struct Patience {
  std::chrono::milliseconds max_back_off{2'000};
  std::chrono::milliseconds grace{5'000};
};

Patience patience_with(const Refusal& refusal) {
  using std::chrono::milliseconds;
  // Others are about to leave it when they are those of a proxy that has been succeeded. It says so
  // at once, so it may be asked often.
  if (refusal.full) return {milliseconds(200), milliseconds(6'000)};
  // One that says it is starting or stopping will be there in a moment. Where nobody answers it may
  // be gone for good, which its clients are to hear soon; and to ask costs next to nothing.
  const bool silent = refusal.transient && refusal.why == Refusal::Why::kUnreachable;
  return silent ? Patience{milliseconds(500), milliseconds(2'000)} : Patience{};
}

std::chrono::milliseconds back_off(int failures, std::chrono::milliseconds longest) {
  const int doublings = std::min(failures - 1, 6);
  return std::min(kFirstBackOff * (1 << doublings), longest);
}

}  // namespace

bool Pool::wants_more() const {
  const std::size_t unserved = waiting_.size() - std::min(waiting_.size(), moving_);
  return unserved + seeking_.size() > opening_ && opening_ < kMaxOpening &&
         total_ < static_cast<std::size_t>(std::max(options_.limit, 1));
}

void Pool::take_slot(std::size_t worker, std::function<void(bool)> taken) {
  bool free = false;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty() && !workers_[worker].closing) {
      free = total_ < static_cast<std::size_t>(options_.limit);
      if (free) ++total_;
    }
  }
  if (free) return taken(true);
  auto idle = try_acquire(worker);
  if (!idle) return taken(false);
  close_for(std::move(idle), [taken = std::move(taken)] { taken(true); });  // its place
}

/// `here`: the calling worker, or workers_.size() if that is not known.
void Pool::consider_opening(std::size_t here) {
  while (true) {
    std::size_t worker = 0;
    {
      const std::lock_guard lock(mutex_);
      if (!wants_more() || Clock::now() < not_before_) return;
      worker = (waiting_.empty() ? seeking_ : waiting_).oldest()->worker_;
      ++opening_;
      ++total_;
    }
    if (worker == here) {
      start_open(worker);
    } else {
      workers_[worker].loop->post([this, worker] { start_open(worker); });
    }
  }
}

void Pool::start_open(std::size_t worker) {
  std::uint64_t generation = 0;
  {
    const std::lock_guard lock(mutex_);
    generation = generation_;
  }
  opener_.open(worker, [this, worker, generation](auto result) {
    if (result) (*result)->generation_ = generation;
    opened(worker, std::move(result));
  });
}

void Pool::opened(std::size_t worker,
                  tl::expected<std::unique_ptr<OriginConnection>, Refusal> result) {
  if (!result) {
    open_failed(result.error());
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    --opening_;
    failures_ = 0;
    not_before_ = {};
    failure_ = nullptr;
    ever_opened_ = true;
    (*result)->worker_ = worker;
    (*result)->expires_ = Clock::now() + jittered(options_.max_lifetime);
  }
  release(std::move(*result));
  consider_opening(worker);
}

void Pool::open_failed(const Refusal& refusal) {
  std::vector<std::size_t> told;
  {
    const std::lock_guard lock(mutex_);
    --opening_;
    --total_;
    const auto now = Clock::now();
    if (failures_++ == 0) failing_since_ = now;
    auto noted = std::make_shared<Refusal>(refusal);
    noted->at = std::chrono::system_clock::now();
    failure_ = std::move(noted);
    const Patience patience = patience_with(refusal);
    const auto pause = back_off(failures_, patience.max_back_off);
    const auto spread = pause.count() / 2;
    not_before_ = now + pause / 2 + std::chrono::milliseconds(random_() % (spread + 1));
    // Other connections live: they will serve the queue. An origin that was there a moment ago and
    // restarts, or has no place now: wait for it a little.
    const bool others = total_ > opening_;
    const auto grace_ends = failing_since_ + patience.grace;
    const bool passes = refusal.full || (refusal.transient && ever_opened_);
    const bool waits = passes && now < grace_ends;
    if (waits) not_before_ = std::min(not_before_, grace_ends);
    while (!others && !waits && !waiting_.empty()) {
      refuse(*waiting_.oldest(), failure_, told);
    }
    while (!seeking_.empty()) refuse(*seeking_.oldest(), failure_, told);
  }
  for (const std::size_t worker : told) post_deliver(worker);
}

}  // namespace hyperdrive::proxy::pool
