// Waiters, and connections that come and go. The rest of the pool: opening.cpp, upkeep.cpp.
#include "proxy/pool/pool.hpp"

#include <algorithm>
#include <utility>

namespace hyperdrive::proxy::pool {

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

void Pool::acquire_returning(Waiter& waiter) {
  waiter.since_ = workers_[waiter.worker_].loop->now();
  waiter.waiting_ = true;
  {
    const std::lock_guard lock(mutex_);
    returning_.push(waiter);
  }
  arm(waiter.worker_);
}

bool Pool::prefers(const Waiter& waiter, const OriginConnection& connection) {
  return (waiter.claim_ != nullptr && connection.claim_.lock() == waiter.claim_) ||
         waiter.misses(connection);
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
  bool is_missed = false;
  {
    const std::lock_guard lock(mutex_);
    surplus = over_limit() || workers_[worker].closing || connection->generation_ != generation_ ||
              (winding_down_ && waiting_.empty());
    is_missed = !returning_.empty() && (surplus || expired || !waiting_.empty());
  }
  if (is_missed) send_on(*connection);
  if (!connection->is_reusable()) return discard(std::move(connection));
  if (expired || surplus) return retire(std::move(connection));
  serve(worker, std::move(connection), false);
}

Waiter* Pool::next_for(const OriginConnection& connection) const {
  if (!waiting_.empty()) return waiting_.oldest();
  Waiter* had_it = returning_.find([&](const Waiter& one) { return prefers(one, connection); });
  if (had_it != nullptr) return had_it;
  return is_claimed(connection) ? nullptr : seeking_.oldest();
}

/// Gives a free connection to the oldest waiter; `detached`: it is on no loop now.
void Pool::serve(std::size_t here, std::unique_ptr<OriginConnection> connection, bool detached) {
  Waiter* waiter = nullptr;
  {
    std::unique_lock lock(mutex_);
    waiter = next_for(*connection);
    if (waiter == nullptr && !detached) {
      connection->park();
      connection->idle_until_ = workers_[here].loop->now() + jittered(options_.idle_timeout);
      workers_[here].idle.push_back(std::move(connection));
      const auto wait = next_tick(workers_[here]);
      lock.unlock();
      if (wait) workers_[here].timer->arm(*wait);
      return;
    }
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
  if (waiter == nullptr) return serve(here, std::move(connection), false);
  waiter->waiting_ = false;
  waiter->granted(std::move(connection));
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
    if (!next.connection) {
      next.waiter->stayed_away();
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

/// The connection goes to somebody else, or nowhere: who waits for it to return need not any more.
void Pool::send_on(const OriginConnection& connection) {
  std::vector<std::size_t> told;
  {
    const std::lock_guard lock(mutex_);
    const auto wants_it = [&](const Waiter& one) { return prefers(one, connection); };
    while (Waiter* waiter = returning_.find(wants_it)) refuse(*waiter, nullptr, told);
  }
  for (const std::size_t each : told) post_deliver(each);
}

void Pool::discard(std::unique_ptr<OriginConnection> connection) {
  if (connection) send_on(*connection);
  connection.reset();
  {
    const std::lock_guard lock(mutex_);
    --total_;
  }
  consider_opening(workers_.size());
}

void Pool::retire(std::unique_ptr<OriginConnection> connection) {
  close_for(std::move(connection), [this] { discard(nullptr); });
}

/// `closed`: its place is the caller's then.
void Pool::close_for(std::unique_ptr<OriginConnection> connection, std::function<void()> closed) {
  {
    const std::lock_guard lock(mutex_);
    ++closing_;
  }
  OriginConnection& leaving = *connection;
  leaving.retire(std::move(connection), [this, closed = std::move(closed)] {
    {
      const std::lock_guard lock(mutex_);
      --closing_;
    }
    closed();
  });
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

}  // namespace hyperdrive::proxy::pool
