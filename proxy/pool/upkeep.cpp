// Of the pool: what time and its owner do to it. Limits of patience and of age, new options,
// a changed origin, the end.
#include <algorithm>
#include <utility>

#include "proxy/pool/pool.hpp"

namespace hyperdrive::proxy::pool {
namespace {

/// How long one who can do with any connection waits for one that nobody has claimed.
constexpr std::chrono::milliseconds kSeekPatience{1'000};
/// How long one waits for the connection that it had, while that is being cleaned.
constexpr std::chrono::milliseconds kReturnPatience{1'000};
/// Longer than any process lives, and no danger to a sum of times.
constexpr std::chrono::milliseconds kForever = std::chrono::hours(24 * 365 * 100);

}  // namespace

/// At most a tenth less, so that what came together does not go together. A limit of 0 is none.
std::chrono::milliseconds Pool::jittered(std::chrono::milliseconds limit) {
  if (limit.count() <= 0) return kForever;
  const auto tenth = limit.count() / 10;
  return limit - std::chrono::milliseconds(tenth ? random_() % tenth : 0);
}

std::chrono::milliseconds Pool::period(const Worker& worker) const {
  using std::chrono::milliseconds;
  if (somebody_waits()) return milliseconds(25);
  if (worker.idle.empty()) return milliseconds(0);
  auto shortest = milliseconds(5'000);
  if (options_.idle_timeout.count() > 0) shortest = std::min(shortest, options_.idle_timeout / 32);
  if (options_.max_lifetime.count() > 0) shortest = std::min(shortest, options_.max_lifetime / 32);
  return std::max(shortest, milliseconds(25));
}

bool Pool::somebody_waits() const {
  return !waiting_.empty() || !seeking_.empty() || !returning_.empty();
}

/// In how long the timer of this worker must fire; nothing: it may be left as it is.
std::optional<std::chrono::milliseconds> Pool::next_tick(Worker& worker) {
  const bool fast = somebody_waits();
  if (worker.timer->armed() && (!fast || worker.ticking_fast)) return std::nullopt;
  const auto wait = period(worker);
  if (wait.count() == 0) return std::nullopt;
  worker.ticking_fast = fast;
  return wait;
}

void Pool::arm(std::size_t worker) {
  std::optional<std::chrono::milliseconds> wait;
  {
    const std::lock_guard lock(mutex_);
    wait = next_tick(workers_[worker]);
  }
  if (wait) workers_[worker].timer->arm(*wait);
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
    while (!returning_.empty() && now >= returning_.oldest()->since_ + kReturnPatience) {
      refuse(*returning_.oldest(), nullptr, told);
    }
    auto& idle = workers_[worker].idle;
    const auto keep = std::stable_partition(idle.begin(), idle.end(), [&](const auto& held) {
      return now < held->expires_ && now < held->idle_until_;
    });
    std::move(keep, idle.end(), std::back_inserter(leaving));
    idle.erase(keep, idle.end());
  }
  for (const std::size_t each : told) post_deliver(each);
  for (auto& connection : leaving) retire_idle(std::move(connection));
  consider_opening(worker);
  arm(worker);
}

// --- from outside -------------------------------------------------------------------------------

void Pool::configure(const PoolOptions& options) {
  {
    const std::lock_guard lock(mutex_);
    options_ = options;
  }
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    workers_[i].loop->post([this, i] { close_surplus(i); });
  }
}

/// Idle connections over the limit, the one that rested longest first; busy ones go as they come
/// back.
void Pool::close_surplus(std::size_t worker) {
  while (true) {
    std::unique_ptr<OriginConnection> leaving;
    {
      const std::lock_guard lock(mutex_);
      auto& idle = workers_[worker].idle;
      if (idle.empty() || !over_limit()) return;
      leaving = std::move(idle.front());
      idle.erase(idle.begin());
    }
    retire_idle(std::move(leaving));
  }
}

/// One that has just been taken out of the idle list.
void Pool::retire_idle(std::unique_ptr<OriginConnection> connection) {
  connection->unpark();
  retire(std::move(connection));
}

bool Pool::over_limit() const {
  return total_ - closing_ > static_cast<std::size_t>(std::max(options_.limit, 1));
}

void Pool::wind_down() {
  {
    const std::lock_guard lock(mutex_);
    winding_down_ = true;
  }
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    workers_[i].loop->post([this, i] { close(i, false); });
  }
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
  PoolGauges gauges{total_, opening_, 0, waiting_.size() + seeking_.size() + returning_.size()};
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
    workers_[worker].closing = workers_[worker].closing || refuse_waiters;
    leaving.swap(workers_[worker].idle);
    const auto closing = std::make_shared<const Refusal>(Refusal{Refusal::Why::kClosing, {}, {}});
    for (WaitQueue* queue : {&waiting_, &seeking_, &returning_}) {
      while (refuse_waiters && !queue->empty()) refuse(*queue->oldest(), closing, told);
    }
  }
  for (const std::size_t each : told) post_deliver(each);
  for (auto& connection : leaving) retire_idle(std::move(connection));
}

}  // namespace hyperdrive::proxy::pool
