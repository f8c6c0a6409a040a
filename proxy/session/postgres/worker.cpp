#include "proxy/session/postgres/worker.hpp"

#include <algorithm>

#include "proxy/session/postgres/client.hpp"
#include "proxy/session/postgres/login.hpp"
#include "proxy/session/postgres/origin.hpp"
#include "proxy/session/postgres/origin_login.hpp"

namespace hyperdrive::proxy::session::postgres {
namespace {

constexpr std::chrono::milliseconds kSweep{100};
constexpr std::size_t kMaxCancels = 16;
/// How long a statement may go on whose client has left, and then how long its cancel may take.
constexpr std::chrono::seconds kOrphanPatience{10};
constexpr std::chrono::seconds kCancelPatience{5};

}  // namespace

Worker::Worker(std::size_t index_in, net::Loop& loop_in, Service& service_in)
    : index(index_in),
      loop(loop_in),
      service(service_in),
      telemetry(service_in.telemetry.worker(index_in)),
      options(service_in.options()),
      texts(service_in.analyses) {
  timer_ = loop.timer([this] { sweep(); });
}

Worker::~Worker() = default;

void Worker::accept(std::unique_ptr<net::Stream> stream) {
  telemetry.add(Counter::kClientConnects);
  service.telemetry.clients.fetch_add(1, std::memory_order_relaxed);
  clients_.push_back(std::make_unique<Client>(*this, std::move(stream)));
  clients_.back()->self = std::prev(clients_.end());
  if (!timer_->armed()) timer_->arm(kSweep);
}

Client& Worker::open_own(std::unique_ptr<net::Stream> stream) {
  clients_.push_back(std::make_unique<Client>(*this, std::move(stream)));
  clients_.back()->self = std::prev(clients_.end());
  return *clients_.back();
}

Client* Worker::find(std::uint32_t process_id) {
  const auto found = by_pid_.find(process_id);
  return found == by_pid_.end() ? nullptr : found->second;
}

// --- ends ---------------------------------------------------------------------------------------

void Worker::bury(Client& client) {
  if (client.id() != 0) {
    by_pid_.erase(client.id());
    service.cancel_keys.withdraw(client.id());
  }
  unask(client);
  if (!client.is_own()) service.telemetry.clients.fetch_sub(1, std::memory_order_relaxed);
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

// --- cancels ------------------------------------------------------------------------------------

bool Worker::start_cancel(Origin& origin, std::function<void()> done) {
  if (cancels_.size() >= kMaxCancels || origin.cancels_running > 0) {
    telemetry.add(Counter::kCancelsDropped);
    return false;
  }
  telemetry.add(Counter::kCancels);
  ++origin.cancels_running;
  const auto at = cancels_.insert(cancels_.end(), Cancel{nullptr, &origin});
  at->run =
      send_cancel(loop, options->target, origin.stream().is_tls(), origin.identity().process_id,
                  origin.identity().cancel_key, [this, at, done = std::move(done)] {
                    Cancel ended = std::move(*at);
                    cancels_.erase(at);
                    if (ended.origin != nullptr) ended.origin->cancel_ended();
                    if (done) done();
                  });
  return true;
}

void Worker::forget_cancels(Origin& origin) {
  for (Cancel& cancel : cancels_) {
    if (cancel.origin == &origin) cancel.origin = nullptr;
  }
}

std::uint64_t Worker::ask(Client& client) {
  const std::uint64_t ticket = next_serial();
  askers_.emplace(ticket, &client);
  return ticket;
}

void Worker::answered(std::uint64_t ticket) {
  const auto found = askers_.find(ticket);
  if (found == askers_.end()) return;
  Client* client = found->second;
  askers_.erase(found);
  client->end_of_cancel();
}

void Worker::unask(Client& client) {
  if (askers_.empty()) return;
  boost::unordered::erase_if(askers_, [&](const auto& entry) { return entry.second == &client; });
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
    if (age > kOrphanPatience + kCancelPatience) {
      auto gone = take_finishing(*origin);
      if (!gone) continue;
      bury(std::move(gone));
      pool().discard(nullptr);
    } else if (age > kOrphanPatience && !origin->cancelled_late) {
      origin->cancelled_late = true;
      start_cancel(*origin, nullptr);
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
    client.shut_down(wire::postgres::sqlstate::kAdminShutdown,
                     "terminating connection due to administrator command");
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

}  // namespace hyperdrive::proxy::session::postgres
