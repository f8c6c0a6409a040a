// The bodies of Clientele; see there. Included where a protocol instantiates it, with its Client
// and Origin complete.
#pragma once

#include <algorithm>
#include <utility>

#include "proxy/session/clientele.hpp"

namespace hyperdrive::proxy::session {

inline constexpr std::chrono::milliseconds kSweep{100};
/// Ten thousand idle clients need no look ten times a second.
inline constexpr std::chrono::milliseconds kSweepOfMany{500};
inline constexpr std::size_t kMany = 256;
inline constexpr std::size_t kMaxCancels = 16;
/// When to look again whether the proxy's own words are out of a cancel's way.
inline constexpr std::chrono::milliseconds kOwnWords{2};
/// How long cleaning takes at most, of a connection to which nothing else happens.
inline constexpr std::chrono::seconds kCleaningPatience{1};
/// How long a statement may go on whose client has left, and then how long its cancel may take.
inline constexpr std::chrono::seconds kOrphanPatience{10};
inline constexpr std::chrono::seconds kCancelPatience{5};

template <class Client, class Origin>
Clientele<Client, Origin>::Clientele(net::Loop& loop_in, WorkerTelemetry& telemetry_in)
    : loop(loop_in), telemetry(telemetry_in) {
  timer_ = loop.timer([this] { sweep(); });
}

template <class Client, class Origin>
Clientele<Client, Origin>::~Clientele() = default;

template <class Client, class Origin>
void Clientele<Client, Origin>::destroy_all() {
  timer_.reset();
  cancels_.clear();
  dead_clients_.clear();
  dead_.clear();
  finishing_.clear();
  clients_.clear();
}

// --- coming and going ---------------------------------------------------------------------------

template <class Client, class Origin>
Client& Clientele<Client, Origin>::admit(std::unique_ptr<Client> client) {
  clients_.push_back(std::move(client));
  clients_.back()->self = std::prev(clients_.end());
  return *clients_.back();
}

template <class Client, class Origin>
void Clientele<Client, Origin>::remove(Client& client) {
  for (Deferred& deferred : deferred_) {
    if (deferred.client == &client) deferred.client = nullptr;
  }
  dead_clients_.push_back(std::move(*client.self));
  clients_.erase(client.self);
  schedule_burial();
}

template <class Client, class Origin>
void Clientele<Client, Origin>::bury(std::unique_ptr<pool::OriginConnection> origin) {
  bury_object(std::move(origin));
}

template <class Client, class Origin>
void Clientele<Client, Origin>::bury_object(std::shared_ptr<void> object) {
  dead_.push_back(std::move(object));
  schedule_burial();
}

template <class Client, class Origin>
void Clientele<Client, Origin>::schedule_burial() {
  if (std::exchange(burying_, true)) return;
  loop.post([this] {
    burying_ = false;
    dead_clients_.clear();
    dead_.clear();
    // What was sent by who has left is work, too.
    const bool over = draining_ && clients_.empty() && finishing_.empty();
    if (over && on_empty_) std::exchange(on_empty_, nullptr)();
  });
}

template <class Client, class Origin>
void Clientele<Client, Origin>::defer_for(Client& client, std::function<void()> task) {
  deferred_.push_back({&client, std::move(task)});
  if (deferred_.size() == 1) loop.defer([this] { run_deferred(); });
}

template <class Client, class Origin>
void Clientele<Client, Origin>::run_deferred() {
  // A task may make clients leave, and add tasks.
  for (std::size_t i = 0; i < deferred_.size(); ++i) {
    if (deferred_[i].client == nullptr) continue;
    const auto task = std::move(deferred_[i].task);
    task();
  }
  deferred_.clear();
}

// --- connections that finish --------------------------------------------------------------------

template <class Client, class Origin>
void Clientele<Client, Origin>::finish(std::unique_ptr<Origin> origin) {
  finishing_.push_back(std::move(origin));
  keep_watch();
}

template <class Client, class Origin>
std::unique_ptr<Origin> Clientele<Client, Origin>::take_finishing(Origin& origin) {
  const auto found = std::find_if(finishing_.begin(), finishing_.end(),
                                  [&](const auto& held) { return held.get() == &origin; });
  if (found == finishing_.end()) return nullptr;
  auto taken = std::move(*found);
  finishing_.erase(found);
  if (draining_ && finishing_.empty()) schedule_burial();
  return taken;
}

template <class Client, class Origin>
bool Clientele<Client, Origin>::is_finishing_one_for(const Client& client) const {
  // One that takes long is busy with what its client has left.
  return std::any_of(finishing_.begin(), finishing_.end(), [&](const auto& held) {
    return loop.now() < held->finishing_since + kCleaningPatience &&
           pool::Pool::prefers(client, *held);
  });
}

template <class Client, class Origin>
void Clientele<Client, Origin>::end_the_late() {
  std::vector<Origin*> all;
  for (const auto& origin : finishing_) all.push_back(origin.get());
  for (Origin* origin : all) {
    const auto age = loop.now() - origin->finishing_since;
    if (age > kOrphanPatience + kCancelPatience) {
      auto gone = take_finishing(*origin);
      if (!gone) continue;
      bury(std::move(gone));
      give_back_place();
    } else if (age > kOrphanPatience && !origin->cancelled_late) {
      origin->cancelled_late = true;
      start_cancel(*origin, nullptr);
    }
  }
}

// --- cancels ------------------------------------------------------------------------------------

template <class Client, class Origin>
bool Clientele<Client, Origin>::start_cancel(Origin& origin, std::function<void()> done) {
  if (origin.cancels_running > 0) {
    telemetry.add(Counter::kCancelsDropped);
    return false;
  }
  telemetry.add(Counter::kCancels);
  ++origin.cancels_running;
  cancels_.push_back({sender_for(origin), std::move(done), &origin, nullptr});
  send_cancels();
  return true;
}

/// What runs first is the proxy's own: the settings that a session needs. A cancel that hit them
/// would end the session, for which nothing may run under others.
template <class Origin>
bool settings_run(Origin& origin) {
  if constexpr (requires { origin.in_flight().front().settings; }) {
    return origin.in_flight().front().settings;
  } else {
    return false;
  }
}

template <class Client, class Origin>
void Clientele<Client, Origin>::send_cancels() {
  std::size_t first = 0;
  for (auto at = cancels_.begin(); at != cancels_.end() && first < kMaxCancels; ++first, ++at) {
    if (at->run) continue;
    // What was to be cancelled has ended while this waited.
    if (at->origin != nullptr && !at->origin->busy()) return cancel_is_over(at);
    if (at->origin != nullptr && settings_run(*at->origin)) {
      timer_->arm(kOwnWords);
      continue;
    }
    at->run = at->send([this, at] { cancel_is_over(at); });
  }
}

template <class Client, class Origin>
void Clientele<Client, Origin>::cancel_is_over(typename std::list<Cancel>::iterator at) {
  Cancel ended = std::move(*at);
  cancels_.erase(at);
  bury_object(std::move(ended.run));
  if (ended.origin != nullptr) ended.origin->cancel_ended();
  if (ended.done) ended.done();
  send_cancels();
}

template <class Client, class Origin>
void Clientele<Client, Origin>::forget_cancels(Origin& origin) {
  for (Cancel& cancel : cancels_) {
    if (cancel.origin == &origin) cancel.origin = nullptr;
  }
}

// --- time ---------------------------------------------------------------------------------------

template <class Client, class Origin>
void Clientele<Client, Origin>::keep_watch() {
  if (!timer_->armed()) timer_->arm(kSweep);
}

template <class Client, class Origin>
void Clientele<Client, Origin>::sweep() {
  const auto now = loop.now();
  for (auto at = clients_.begin(); at != clients_.end();) {
    Client& client = **at++;  // it may leave
    client.sweep(now);
  }
  end_the_late();
  if (!clients_.empty() || !finishing_.empty()) timer_->arm(sweep_period());
  send_cancels();
}

template <class Client, class Origin>
std::chrono::milliseconds Clientele<Client, Origin>::sweep_period() const {
  return clients_.size() > kMany ? kSweepOfMany : kSweep;
}

// --- the end ------------------------------------------------------------------------------------

template <class Client, class Origin>
void Clientele<Client, Origin>::drain() {
  if (std::exchange(draining_, true)) return;
  for (auto at = clients_.begin(); at != clients_.end();) {
    Client& client = **at++;
    client.shut_down();
  }
  schedule_burial();
}

template <class Client, class Origin>
void Clientele<Client, Origin>::close_all() {
  draining_ = true;
  while (!clients_.empty()) clients_.front()->time_is_up();
  for (auto& origin : finishing_) {
    if (origin->busy()) start_cancel(*origin, nullptr);
    bury(std::move(origin));
  }
  finishing_.clear();
  schedule_burial();
}

template <class Client, class Origin>
void Clientele<Client, Origin>::on_empty(std::function<void()> done) {
  on_empty_ = std::move(done);
  schedule_burial();
}

}  // namespace hyperdrive::proxy::session
