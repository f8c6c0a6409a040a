// The clients of one worker, and the origin connections whose clients have gone: what the workers
// of both protocols do alike. Base of each protocol's Worker.
//
// Objects leave in two steps: remove() and bury() take them out of the books, and they are
// destroyed when this turn's calls have returned. A connection in the middle of something is
// finished: it goes home by itself, is cancelled when that takes too long, and closed when even
// that does not help.
//
// Threads: everything on the worker's own. The bodies are in clientele_bodies.hpp, for the one file
// of each protocol that makes them (worker.cpp).
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "proxy/net/loop.hpp"
#include "proxy/pool/pool.hpp"
#include "proxy/session/plane.hpp"
#include "proxy/session/telemetry.hpp"

namespace hyperdrive::proxy::session {

/// Of a Client it uses self (its place in the list), sweep, shut_down, time_is_up; of an Origin
/// finishing_since, cancelled_late, busy, cancels_running, cancel_ended.
template <class Client, class Origin>
class Clientele : public PlaneWorker {
 public:
  Clientele(net::Loop& loop, WorkerTelemetry& telemetry);
  ~Clientele() override;

  net::Loop& loop;
  WorkerTelemetry& telemetry;

  void drain() override;
  void close_all() override;
  bool cancelling() const override { return !cancels_.empty(); }
  void on_empty(std::function<void()> done) override;
  /// At the end of this turn, unless the client has left by then.
  void defer_for(Client& client, std::function<void()> task);
  bool draining() const { return draining_; }

  void bury(std::unique_ptr<pool::OriginConnection> origin);
  /// Looks after a connection whose client is gone until it can go home.
  void finish(std::unique_ptr<Origin> origin);
  std::unique_ptr<Origin> take_finishing(Origin& origin);
  /// One that goes home and that this client prefers to others.
  bool is_finishing_one_for(const Client& client) const;
  /// Has the origin end what it does for this connection; `done` when that can hit nobody any more.
  /// It may go meanwhile. A few are sent at a time, the others wait for them. False: one is under
  /// way.
  bool start_cancel(Origin& origin, std::function<void()> done);
  /// The connection is going: a cancel of it that is under way ends without it.
  void forget_cancels(Origin& origin);

 protected:
  /// What it returns lives until it has called `done`.
  using CancelSender = std::function<std::shared_ptr<void>(std::function<void()> done)>;
  /// The protocol's way to cancel what this connection does, whatever becomes of the connection.
  virtual CancelSender sender_for(Origin& origin) = 0;
  /// A connection that would not end has been closed: its place in the pool is free.
  virtual void give_back_place() = 0;

  Client& admit(std::unique_ptr<Client> client);
  void remove(Client& client);
  void bury_object(std::shared_ptr<void> object);
  /// Looks at everybody from time to time, as long as there is somebody.
  void keep_watch();
  /// For the destructor of the derived class: nobody outlives what it uses.
  void destroy_all();

 private:
  void sweep();
  void end_the_late();
  void schedule_burial();
  void run_deferred();
  std::chrono::milliseconds sweep_period() const;

  struct Cancel {
    CancelSender send;
    std::function<void()> done;
    Origin* origin;             // null: has gone
    std::shared_ptr<void> run;  // null: waits
  };
  void send_cancels();
  void cancel_is_over(typename std::list<Cancel>::iterator at);
  std::list<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<Origin>> finishing_;
  std::vector<std::unique_ptr<Client>> dead_clients_;  // destroyed before what they used
  std::vector<std::shared_ptr<void>> dead_;
  struct Deferred {
    Client* client;  // null: has left
    std::function<void()> task;
  };
  std::vector<Deferred> deferred_;
  std::list<Cancel> cancels_;  // the first kMaxCancels of them are under way
  std::unique_ptr<net::Timer> timer_;
  std::function<void()> on_empty_;
  bool draining_ = false;
  bool burying_ = false;
};

}  // namespace hyperdrive::proxy::session
