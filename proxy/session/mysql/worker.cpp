#include "proxy/session/mysql/worker.hpp"

#include <algorithm>

#include "proxy/session/clientele_bodies.hpp"
#include "proxy/session/mysql/client.hpp"
#include "proxy/session/mysql/origin.hpp"

namespace hyperdrive::proxy::session {

template class Clientele<mysql::Client, mysql::Origin>;

namespace mysql {

Worker::Worker(std::size_t index_in, net::Loop& loop_in, Service& service_in)
    : Clientele(loop_in, service_in.telemetry.worker(index_in)),
      index(index_in),
      service(service_in),
      options(service_in.options()) {}

Worker::~Worker() { destroy_all(); }

void Worker::accept(std::unique_ptr<net::Stream> stream) {
  telemetry.add(Counter::kClientConnects);
  service.telemetry.clients.fetch_add(1, std::memory_order_relaxed);
  Client& client = admit(std::make_unique<Client>(*this, std::move(stream)));
  keep_watch();
  client.greet();
}

Client* Worker::find(std::uint32_t client_id) {
  const auto found = by_id_.find(client_id);
  return found == by_id_.end() ? nullptr : found->second;
}

void Worker::bury(Client& client) {
  if (client.id() != 0) by_id_.erase(client.id());
  stop_lingering(client);
  service.telemetry.clients.fetch_sub(1, std::memory_order_relaxed);
  remove(client);
}

void Worker::bury_login(std::unique_ptr<OriginLogin> login) { bury_object(std::move(login)); }

Worker::CancelSender Worker::sender_for(Origin& origin) {
  return [this, target = options->target, id = origin.identity().connection_id](
             std::function<void()> done) -> std::shared_ptr<void> {
    return send_kill_query(loop, target, id, std::move(done));
  };
}

void Worker::give_back_place() { pool().discard(nullptr); }

// --- connections kept in case -------------------------------------------------------------------

void Worker::linger(Client& client) {
  if (!client.in_linger_list) lingering_.push_back(&client);
  client.in_linger_list = true;
  lingerers_.store(lingering_.size(), std::memory_order_relaxed);
}

void Worker::stop_lingering(Client& client) {
  if (!client.in_linger_list) return;
  client.in_linger_list = false;
  std::erase(lingering_, &client);
  lingerers_.store(lingering_.size(), std::memory_order_relaxed);
}

bool Worker::end_a_linger() {
  if (lingering_.empty()) return false;
  lingering_.front()->give_up_linger();
  return true;
}

}  // namespace mysql
}  // namespace hyperdrive::proxy::session
