#include "proxy/pool/pool.hpp"

#include <algorithm>
#include <utility>

namespace hyperdrive::proxy::pool {
namespace {

constexpr std::size_t kMaxOpening = 2;
constexpr std::chrono::milliseconds kFirstBackOff{50};
constexpr std::chrono::milliseconds kMaxBackOff{2'000};
/// How long waiters outlast an origin that was there and is restarting.
constexpr std::chrono::milliseconds kRestartGrace{5'000};
/// How long one who can do with any connection waits for one that nobody has claimed.
constexpr std::chrono::milliseconds kSeekPatience{1'000};

std::chrono::milliseconds back_off(int failures) {
  const int doublings = std::min(failures - 1, 6);
  return std::min(kFirstBackOff * (1 << doublings), kMaxBackOff);
}

}  // namespace

Pool::Pool(std::vector<net::Loop*> loops, Opener& opener, PoolOptions options)
    : workers_(loops.size()), opener_(opener), options_(options), random_(std::random_device{}()) {
  for (std::size_t i = 0; i < loops.size(); ++i) {
    workers_[i].loop = loops[i];
    workers_[i].timer = loops[i]->timer([this, i] { tick(i); });
  }
}

Pool::~Pool() = default;

// --- waiters ------------------------------------------------------------------------------------

std::size_t Pool::idle_elsewhere(std::size_t here) const {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (i != here && !workers_[i].idle.empty()) return i;
  }
  return here;
}

/// One of several idle ones: the asker's own, else one that is nobody's, else one that suits; of
/// equals the one used last. `waiter`: null if it is not known who asks.
std::unique_ptr<OriginConnection> Pool::take(Idle& idle, const Waiter* waiter) {
  const auto rank = [waiter](const OriginConnection& one) {
    const bool suits = waiter == nullptr || waiter->suits(one);
    if (one.claim_.expired()) return 2 + (suits ? 1 : 0);
    const bool own =
        waiter != nullptr && waiter->claim_ != nullptr && one.claim_.lock() == waiter->claim_;
    return own ? 4 : (suits ? 1 : 0);
  };
  const int best = waiter != nullptr && waiter->claim_ != nullptr ? 4 : 3;
  std::size_t chosen = idle.size() - 1;
  int highest = rank(*idle[chosen]);
  for (std::size_t i = chosen; highest < best && i-- > 0;) {
    if (const int here = rank(*idle[i]); here > highest) {
      highest = here;
      chosen = i;
    }
  }
  auto connection = std::move(idle[chosen]);
  idle.erase(idle.begin() + static_cast<std::ptrdiff_t>(chosen));
  connection->unpark();
  return connection;
}

std::unique_ptr<OriginConnection> Pool::try_acquire(std::size_t worker) {
  const std::lock_guard lock(mutex_);
  Idle& idle = workers_[worker].idle;
  if (!waiting_.empty() || idle.empty()) return nullptr;
  return take(idle, nullptr);
}

void Pool::claim(OriginConnection& connection, Waiter& waiter) {
  if (!waiter.claim_) waiter.claim_ = std::make_shared<char>();
  connection.claim_ = waiter.claim_;
}

std::unique_ptr<OriginConnection> Pool::acquire_unclaimed(Waiter& waiter) {
  {
    const std::lock_guard lock(mutex_);
    Idle& idle = workers_[waiter.worker_].idle;
    // The one that rested longest: sessions that follow each other are told different ids.
    const auto free =
        std::find_if(idle.begin(), idle.end(), [](const auto& held) { return !is_claimed(*held); });
    if (free != idle.end() && waiting_.empty()) {
      auto connection = std::move(*free);
      idle.erase(free);
      connection->unpark();
      return connection;
    }
    // It will have to be opened: all who wait already must leave room for it.
    const auto limit = static_cast<std::size_t>(std::max(options_.limit, 1));
    const std::size_t wanted = waiting_.size() + seeking_.size();
    if (wanted + total_ >= limit + opening_ + moving_) return nullptr;
    if (Clock::now() < not_before_ || workers_[waiter.worker_].closing) return nullptr;
    waiter.since_ = workers_[waiter.worker_].loop->now();
    waiter.waiting_ = true;
    seeking_.push(waiter);
  }
  consider_opening(waiter.worker_);
  arm(waiter.worker_);
  return nullptr;
}

std::unique_ptr<OriginConnection> Pool::acquire(Waiter& waiter) {
  {
    const std::lock_guard lock(mutex_);
    Idle& idle = workers_[waiter.worker_].idle;
    if (waiting_.empty() && !idle.empty()) return take(idle, &waiter);
  }
  waiter.since_ = workers_[waiter.worker_].loop->now();
  waiter.waiting_ = true;
  std::size_t from = waiter.worker_;
  {
    const std::lock_guard lock(mutex_);
    waiting_.push(waiter);
    // One theft a waiter: connections on the move will serve the queue when they arrive.
    if (waiting_.size() > moving_) from = idle_elsewhere(waiter.worker_);
    if (from != waiter.worker_) ++moving_;
  }
  if (from != waiter.worker_) workers_[from].loop->post([this, from] { steal(from); });
  consider_opening(waiter.worker_);
  arm(waiter.worker_);
  return nullptr;
}

void Pool::forget(Waiter& waiter) {
  if (!waiter.waiting_) return;
  waiter.waiting_ = false;
  Delivery orphan{};
  {
    const std::lock_guard lock(mutex_);
    if (waiter.queue_ != nullptr) {
      waiter.queue_->remove(waiter);
      return;
    }
    // Whoever took it out of its queue has put something into the inbox in the same breath.
    auto& inbox = workers_[waiter.worker_].inbox;
    const auto found = std::find_if(inbox.begin(), inbox.end(),
                                    [&](const Delivery& d) { return d.waiter == &waiter; });
    if (found == inbox.end()) return;
    orphan = std::move(*found);
    inbox.erase(found);
  }
  if (orphan.connection) serve(waiter.worker_, std::move(orphan.connection), orphan.attach);
}

// --- connections coming and going ---------------------------------------------------------------

void Pool::release(std::unique_ptr<OriginConnection> connection) {
  const std::size_t worker = connection->worker_;
  const bool expired = workers_[worker].loop->now() >= connection->expires_;
  bool surplus = false;
  {
    const std::lock_guard lock(mutex_);
    surplus = total_ > static_cast<std::size_t>(options_.limit) || workers_[worker].closing ||
              connection->generation_ != generation_;
  }
  if (!connection->is_reusable()) return discard(std::move(connection));
  if (expired || surplus) {
    OriginConnection& leaving = *connection;
    leaving.retire(std::move(connection));
    return discard(nullptr);
  }
  serve(worker, std::move(connection), false);
}

Waiter* Pool::next_for(const OriginConnection& connection) const {
  if (!waiting_.empty()) return waiting_.oldest();
  return is_claimed(connection) ? nullptr : seeking_.oldest();
}

/// Gives a free connection to the oldest waiter; `detached`: it is on no loop now.
void Pool::serve(std::size_t here, std::unique_ptr<OriginConnection> connection, bool detached) {
  Waiter* waiter = nullptr;
  {
    std::unique_lock lock(mutex_);
    waiter = next_for(*connection);
    if (waiter != nullptr && waiter->worker_ != here && !detached) {
      ++moving_;
      lock.unlock();
      return move(here, std::move(connection));
    }
    if (waiter != nullptr) {
      waiter->queue_->remove(*waiter);
      if (const std::size_t there = waiter->worker_; there != here) {
        const bool post = put({waiter, std::move(connection), true, nullptr});
        lock.unlock();
        if (post) post_deliver(there);
        return;
      }
    }
  }
  if (detached) {
    connection->worker_ = here;
    connection->attach(here);
  }
  if (waiter != nullptr) {
    waiter->waiting_ = false;
    return waiter->granted(std::move(connection));
  }
  connection->park();
  {
    const std::lock_guard lock(mutex_);
    // Somebody may have come while it was being parked, and have found no idle one.
    if (next_for(*connection) == nullptr) {
      connection->idle_until_ = jittered(options_.idle_timeout);
      workers_[here].idle.push_back(std::move(connection));
    }
  }
  if (connection) {
    connection->unpark();
    return serve(here, std::move(connection), false);
  }
  arm(here);
}

/// Takes a connection off its loop for somebody of another worker, or whoever comes first then.
void Pool::move(std::size_t here, std::unique_ptr<OriginConnection> connection) {
  auto held = std::make_shared<std::unique_ptr<OriginConnection>>(std::move(connection));
  (*held)->detach([this, here, held](bool alive) {
    {
      const std::lock_guard lock(mutex_);
      --moving_;
    }
    if (alive) return serve(here, std::move(*held), true);
    discard(std::move(*held));
  });
}

bool Pool::put(Delivery delivery) {
  Worker& worker = workers_[delivery.waiter->worker_];
  worker.inbox.push_back(std::move(delivery));
  return !std::exchange(worker.posted, true);
}

void Pool::post_deliver(std::size_t worker) {
  workers_[worker].loop->post([this, worker] { deliver(worker); });
}

void Pool::refuse(Waiter& waiter, std::shared_ptr<const Refusal> refusal,
                  std::vector<std::size_t>& told) {
  waiter.queue_->remove(waiter);
  const std::size_t worker = waiter.worker_;
  if (put({&waiter, nullptr, false, std::move(refusal)})) told.push_back(worker);
}

/// On `worker`: hands out what others left in its inbox.
void Pool::deliver(std::size_t worker) {
  while (true) {
    Delivery next{};
    {
      const std::lock_guard lock(mutex_);
      auto& inbox = workers_[worker].inbox;
      if (inbox.empty()) {
        workers_[worker].posted = false;
        return;
      }
      next = std::move(inbox.front());
      inbox.pop_front();
    }
    next.waiter->waiting_ = false;
    if (next.refusal) {
      next.waiter->refused(*next.refusal);
      continue;
    }
    if (next.attach) {
      next.connection->worker_ = worker;
      next.connection->attach(worker);
    }
    next.waiter->granted(std::move(next.connection));
  }
}

/// On `from`: sends one of its idle connections to a waiter of another worker.
void Pool::steal(std::size_t from) {
  std::unique_ptr<OriginConnection> connection;
  {
    const std::lock_guard lock(mutex_);
    --moving_;
    auto& idle = workers_[from].idle;
    if (!waiting_.empty() && !idle.empty()) connection = take(idle, nullptr);
  }
  if (connection) serve(from, std::move(connection), false);
  consider_opening(from);
}

void Pool::discard(std::unique_ptr<OriginConnection> connection) {
  connection.reset();
  {
    const std::lock_guard lock(mutex_);
    --total_;
  }
  consider_opening(workers_.size());
}

std::unique_ptr<OriginConnection> Pool::lost(OriginConnection& connection) {
  const std::size_t worker = connection.worker_;
  std::unique_ptr<OriginConnection> gone;
  {
    const std::lock_guard lock(mutex_);
    auto& idle = workers_[worker].idle;
    const auto found = std::find_if(idle.begin(), idle.end(),
                                    [&](const auto& held) { return held.get() == &connection; });
    if (found == idle.end()) return nullptr;
    gone = std::move(*found);
    idle.erase(found);
  }
  discard(nullptr);
  return gone;
}

// --- opening ------------------------------------------------------------------------------------

bool Pool::wants_more() const {
  const std::size_t unserved = waiting_.size() - std::min(waiting_.size(), moving_);
  return unserved + seeking_.size() > opening_ && opening_ < kMaxOpening &&
         total_ < static_cast<std::size_t>(std::max(options_.limit, 1));
}

bool Pool::take_slot(std::size_t worker) {
  {
    const std::lock_guard lock(mutex_);
    if (!waiting_.empty() || workers_[worker].closing) return false;
    if (total_ < static_cast<std::size_t>(options_.limit)) {
      ++total_;
      return true;
    }
  }
  auto idle = try_acquire(worker);
  if (!idle) return false;
  OriginConnection& leaving = *idle;
  leaving.retire(std::move(idle));
  return true;  // its place
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
    (*result)->expires_ = jittered(options_.max_lifetime);
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
    const auto pause = back_off(failures_);
    const auto spread = pause.count() / 2;
    not_before_ = now + pause / 2 + std::chrono::milliseconds(random_() % (spread + 1));
    // Other connections live: they will serve the queue. An origin that was there a moment ago and
    // restarts: wait for it a little.
    const bool others = total_ > opening_;
    const bool restarting =
        refusal.transient && ever_opened_ && now < failing_since_ + kRestartGrace;
    while (!others && !restarting && !waiting_.empty()) {
      refuse(*waiting_.oldest(), failure_, told);
    }
    while (!seeking_.empty()) refuse(*seeking_.oldest(), failure_, told);
  }
  for (const std::size_t worker : told) post_deliver(worker);
}

// --- time ---------------------------------------------------------------------------------------

Pool::Clock::time_point Pool::jittered(std::chrono::milliseconds limit) {
  if (limit.count() <= 0) return Clock::time_point::max();
  const auto tenth = limit.count() / 10;
  return Clock::now() + limit - std::chrono::milliseconds(tenth ? random_() % tenth : 0);
}

std::chrono::milliseconds Pool::period(const Worker& worker) const {
  using std::chrono::milliseconds;
  if (!waiting_.empty() || !seeking_.empty()) return milliseconds(25);
  if (worker.idle.empty()) return milliseconds(0);
  auto shortest = milliseconds(5'000);
  if (options_.idle_timeout.count() > 0) shortest = std::min(shortest, options_.idle_timeout / 32);
  if (options_.max_lifetime.count() > 0) shortest = std::min(shortest, options_.max_lifetime / 32);
  return std::max(shortest, milliseconds(25));
}

void Pool::arm(std::size_t worker) {
  Worker& mine = workers_[worker];
  std::chrono::milliseconds wait;
  {
    const std::lock_guard lock(mutex_);
    wait = period(mine);
    const bool fast = !waiting_.empty() || !seeking_.empty();
    if (wait.count() == 0 || (mine.timer->armed() && !fast)) return;
    if (mine.timer->armed() && mine.ticking_fast) return;
    mine.ticking_fast = fast;
  }
  mine.timer->arm(wait);
}

void Pool::tick(std::size_t worker) {
  std::vector<std::unique_ptr<OriginConnection>> leaving;
  std::vector<std::size_t> told;
  const auto now = Clock::now();
  {
    const std::lock_guard lock(mutex_);
    workers_[worker].ticking_fast = false;
    const auto refuse_late = [&](WaitQueue& queue, std::chrono::milliseconds patience) {
      while (!queue.empty() && now >= queue.oldest()->since_ + patience) {
        auto refusal = failure_;
        if (!refusal) {
          refusal = std::make_shared<const Refusal>(Refusal{Refusal::Why::kWaitTimeout, {}, {}});
        }
        refuse(*queue.oldest(), std::move(refusal), told);
      }
    };
    if (options_.wait_timeout.count() > 0) refuse_late(waiting_, options_.wait_timeout);
    refuse_late(seeking_, kSeekPatience);
    auto& idle = workers_[worker].idle;
    const auto keep = std::stable_partition(idle.begin(), idle.end(), [&](const auto& held) {
      return now < held->expires_ && now < held->idle_until_;
    });
    std::move(keep, idle.end(), std::back_inserter(leaving));
    idle.erase(keep, idle.end());
  }
  for (const std::size_t each : told) post_deliver(each);
  for (auto& connection : leaving) {
    OriginConnection& old = *connection;
    old.unpark();
    old.retire(std::move(connection));
    discard(nullptr);
  }
  consider_opening(worker);
  arm(worker);
}

// --- from outside -------------------------------------------------------------------------------

void Pool::configure(const PoolOptions& options) {
  const std::lock_guard lock(mutex_);
  options_ = options;
}

void Pool::renew() {
  {
    const std::lock_guard lock(mutex_);
    ++generation_;
    not_before_ = {};
  }
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    workers_[i].loop->post([this, i] { close(i, false); });
  }
}

PoolGauges Pool::gauges() const {
  const std::lock_guard lock(mutex_);
  PoolGauges gauges{total_, opening_, 0, waiting_.size() + seeking_.size()};
  for (const Worker& worker : workers_) gauges.idle += worker.idle.size();
  return gauges;
}

std::optional<Refusal> Pool::last_failure() const {
  const std::lock_guard lock(mutex_);
  if (!failure_) return std::nullopt;
  return *failure_;
}

void Pool::close(std::size_t worker, bool refuse_waiters) {
  std::vector<std::unique_ptr<OriginConnection>> leaving;
  std::vector<std::size_t> told;
  {
    const std::lock_guard lock(mutex_);
    workers_[worker].closing = refuse_waiters;
    leaving.swap(workers_[worker].idle);
    const auto closing = std::make_shared<const Refusal>(Refusal{Refusal::Why::kClosing, {}, {}});
    for (WaitQueue* queue : {&waiting_, &seeking_}) {
      while (refuse_waiters && !queue->empty()) refuse(*queue->oldest(), closing, told);
    }
  }
  for (const std::size_t each : told) post_deliver(each);
  for (auto& connection : leaving) {
    OriginConnection& old = *connection;
    old.unpark();
    old.retire(std::move(connection));
    discard(nullptr);
  }
}

}  // namespace hyperdrive::proxy::pool
