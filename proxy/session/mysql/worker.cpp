#include "proxy/session/mysql/worker.hpp"

#include <algorithm>

#include "proxy/session/mysql/client.hpp"
#include "proxy/session/mysql/origin.hpp"

namespace hyperdrive::proxy::session::mysql {
namespace {

constexpr std::chrono::milliseconds kSweep{100};
constexpr std::size_t kMaxKills = 16;
/// How long a statement may go on whose client has left, and then how long its end may take.
constexpr std::chrono::seconds kOrphanPatience{10};
constexpr std::chrono::seconds kKillPatience{5};

}  // namespace

Worker::Worker(std::size_t index_in, net::Loop& loop_in, Service& service_in)
    : index(index_in),
      loop(loop_in),
      service(service_in),
      telemetry(service_in.telemetry.worker(index_in)),
      options(service_in.options()) {
  timer_ = loop.timer([this] { sweep(); });
}

Worker::~Worker() = default;

void Worker::accept(std::unique_ptr<net::Stream> stream) {
  telemetry.add(Counter::kClientConnects);
  service.telemetry.clients.fetch_add(1, std::memory_order_relaxed);
  clients_.push_back(std::make_unique<Client>(*this, std::move(stream)));
  clients_.back()->self = std::prev(clients_.end());
  if (!timer_->armed()) timer_->arm(kSweep);
  clients_.back()->greet();
}

Client* Worker::find(std::uint32_t client_id) {
  const auto found = by_id_.find(client_id);
  return found == by_id_.end() ? nullptr : found->second;
}

// --- ends ---------------------------------------------------------------------------------------

void Worker::bury(Client& client) {
  if (client.id() != 0) by_id_.erase(client.id());
  stop_lingering(client);
  service.telemetry.clients.fetch_sub(1, std::memory_order_relaxed);
  dead_clients_.push_back(std::move(*client.self));
  clients_.erase(client.self);
  schedule_burial();
}

void Worker::bury(std::unique_ptr<pool::OriginConnection> origin) {
  dead_origins_.push_back(std::move(origin));
  schedule_burial();
}

/// Objects are destroyed when no call into them can be on the stack.
void Worker::schedule_burial() {
  if (std::exchange(burying_, true)) return;
  loop.post([this] {
    burying_ = false;
    dead_clients_.clear();
    dead_origins_.clear();
    dead_logins_.clear();
    if (draining_ && clients_.empty() && on_empty_) std::exchange(on_empty_, nullptr)();
  });
}

void Worker::finish(std::unique_ptr<Origin> origin) {
  finishing_.push_back(std::move(origin));
  if (!timer_->armed()) timer_->arm(kSweep);
}

std::unique_ptr<Origin> Worker::take_finishing(Origin& origin) {
  const auto found = std::find_if(finishing_.begin(), finishing_.end(),
                                  [&](const auto& held) { return held.get() == &origin; });
  if (found == finishing_.end()) return nullptr;
  auto taken = std::move(*found);
  finishing_.erase(found);
  return taken;
}

// --- kills --------------------------------------------------------------------------------------

bool Worker::start_kill(Origin& origin, std::function<void()> done) {
  if (kills_.size() >= kMaxKills || origin.kills_running > 0) {
    telemetry.add(Counter::kCancelsDropped);
    return false;
  }
  telemetry.add(Counter::kCancels);
  ++origin.kills_running;
  const auto at = kills_.insert(kills_.end(), Kill{nullptr, &origin});
  at->run = send_kill_query(loop, options->target, origin.identity().connection_id,
                            [this, at, done = std::move(done)] {
                              Kill ended = std::move(*at);
                              kills_.erase(at);
                              bury_login(std::move(ended.run));
                              if (ended.origin != nullptr) ended.origin->kill_ended();
                              if (done) done();
                            });
  return true;
}

void Worker::forget_kills(Origin& origin) {
  for (Kill& kill : kills_) {
    if (kill.origin == &origin) kill.origin = nullptr;
  }
}

// --- connections kept in case -------------------------------------------------------------------

void Worker::linger(Client& client) {
  if (!client.in_linger_list) lingering_.push_back(&client);
  client.in_linger_list = true;
}

void Worker::stop_lingering(Client& client) {
  if (!client.in_linger_list) return;
  client.in_linger_list = false;
  std::erase(lingering_, &client);
}

bool Worker::end_a_linger() {
  if (lingering_.empty()) return false;
  lingering_.front()->give_up_linger();
  return true;
}

// --- time ---------------------------------------------------------------------------------------

void Worker::sweep() {
  const auto now = loop.now();
  for (auto at = clients_.begin(); at != clients_.end();) {
    Client& client = **at++;  // it may leave
    client.sweep(now);
  }
  std::vector<Origin*> late;
  for (const auto& origin : finishing_) late.push_back(origin.get());
  for (Origin* origin : late) {
    const auto age = now - origin->finishing_since;
    if (age > kOrphanPatience + kKillPatience) {
      auto gone = take_finishing(*origin);
      if (!gone) continue;
      bury(std::move(gone));
      pool().discard(nullptr);
    } else if (age > kOrphanPatience && !origin->killed_late) {
      origin->killed_late = true;
      start_kill(*origin, nullptr);
    }
  }
  if (!clients_.empty() || !finishing_.empty()) timer_->arm(sweep_period());
}

/// Ten thousand idle clients need no look ten times a second.
std::chrono::milliseconds Worker::sweep_period() const {
  return clients_.size() > 256 ? std::chrono::milliseconds(500) : kSweep;
}

// --- the end ------------------------------------------------------------------------------------

void Worker::drain() {
  if (std::exchange(draining_, true)) return;
  for (auto at = clients_.begin(); at != clients_.end();) {
    Client& client = **at++;
    client.shut_down();
  }
  schedule_burial();
}

void Worker::close_all() {
  draining_ = true;
  while (!clients_.empty()) clients_.front()->abandon();
  for (auto& origin : finishing_) dead_origins_.push_back(std::move(origin));
  finishing_.clear();
  schedule_burial();
}

void Worker::on_empty(std::function<void()> done) {
  on_empty_ = std::move(done);
  schedule_burial();
}

}  // namespace hyperdrive::proxy::session::mysql
