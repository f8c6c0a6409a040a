#include "proxy/session/postgres/worker.hpp"

#include "proxy/net/sockets.hpp"
#include "proxy/session/clientele_bodies.hpp"
#include "proxy/session/postgres/client.hpp"
#include "proxy/session/postgres/login.hpp"
#include "proxy/session/postgres/origin.hpp"
#include "proxy/session/postgres/origin_login.hpp"

namespace hyperdrive::proxy::session {

template class Clientele<postgres::Client, postgres::Origin>;

namespace postgres {

Worker::Worker(std::size_t index_in, net::Loop& loop_in, Service& service_in)
    : Clientele(loop_in, service_in.telemetry.worker(index_in)),
      index(index_in),
      service(service_in),
      options(service_in.options()),
      texts(service_in.analyses) {}

Worker::~Worker() { destroy_all(); }

void Worker::accept(std::unique_ptr<net::Stream> stream) {
  telemetry.add(Counter::kClientConnects);
  service.telemetry.clients.fetch_add(1, std::memory_order_relaxed);
  admit(std::make_unique<Client>(*this, std::move(stream)));
  keep_watch();
}

Client& Worker::open_own(std::unique_ptr<net::Stream> stream) {
  return admit(std::make_unique<Client>(*this, std::move(stream)));
}

Client* Worker::find(std::uint32_t process_id) {
  const auto found = by_pid_.find(process_id);
  return found == by_pid_.end() ? nullptr : found->second;
}

void Worker::bury(Client& client) {
  if (client.id() != 0) {
    by_pid_.erase(client.id());
    service.cancel_keys.withdraw(client.id());
  }
  unask(client);
  if (!client.is_own()) service.telemetry.clients.fetch_sub(1, std::memory_order_relaxed);
  remove(client);
}

Worker::CancelSender Worker::sender_for(Origin& origin) {
  return [this, identity = origin.identity(), address = net::peer_address(origin.stream().fd()),
          tls = origin.stream().is_tls()](std::function<void()> done) -> std::shared_ptr<void> {
    return send_cancel(loop, identity.target, address, tls, identity.process_id,
                       identity.cancel_key, std::move(done));
  };
}

void Worker::give_back_place() { pool().discard(nullptr); }

// --- who asked for a cancel ---------------------------------------------------------------------

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

}  // namespace postgres
}  // namespace hyperdrive::proxy::session
