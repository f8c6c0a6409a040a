// The proxy as a whole: listeners, workers with their threads, the pool, and how it all ends.
//
// Made and owned by main(). start() listens and runs the workers; from then on drain(), stop_now()
// and reload() may come from any thread. Everything is gone when the destructor returns.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "proxy/net/loop.hpp"
#include "proxy/server/options.hpp"
#include "proxy/session/plane.hpp"
#include "proxy/session/telemetry.hpp"

namespace hyperdrive::proxy::server {

class Proxy {
 public:
  static core::Result<std::unique_ptr<Proxy>> create(core::Launch launch);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  /// Takes the inherited listeners or opens its own. The error's `reason` for the ready line is
  /// `port_in_use` when that was it.
  core::Result<void> listen(std::string& reason);
  /// Fails where invalidation = replication cannot be had from the origin.
  core::Result<void> start(session::EventSink* sink);

  /// Stops accepting; idle clients leave now, the others after their transaction, all of them at
  /// the deadline. `ended` is called once, from a worker's thread, when nobody is left.
  void drain(std::chrono::milliseconds timeout);
  /// Waits for no client; what runs is cancelled at the origin. Behind that, and behind the
  /// deadline of a drain: not even for this.
  void stop_now();
  /// Waits until the workers' threads have ended, at once if need be: no event comes any more.
  void join();
  /// A new process accepts from here on: closes the listeners without a word. Who has just
  /// connected here gets a moment to do what it came for; then drains.
  void hand_over();
  void on_ended(std::function<void()> ended) { ended_ = std::move(ended); }

  /// All or nothing; says what has changed.
  core::Result<Reloaded> reload(core::Launch launch);

  std::uint16_t port() const { return port_; }
  /// Empty once nothing is accepted any more.
  std::vector<int> listen_fds() const;
  std::vector<std::string> addresses() const;
  bool draining() const { return draining_.load(std::memory_order_relaxed); }
  net::Loop::Backend backend() const { return loops_.front()->backend(); }
  std::size_t workers() const { return loops_.size(); }
  session::Plane& plane() { return *plane_; }
  session::Telemetry& telemetry() { return telemetry_; }
  core::Launch launch() const;

 private:
  Proxy(core::Launch launch, std::vector<std::unique_ptr<net::Loop>> loops);
  void run_worker(std::size_t index);
  void close_listen_fds();
  void listen_on(std::size_t index, int fd);
  void watch_backlog(std::size_t index);
  void worker_empty();
  void end_loops();
  void end_loop(std::size_t index);

  std::mutex reload_;         // one at a time
  mutable std::mutex mutex_;  // launch_, listen_fds_
  core::Launch launch_;
  session::Telemetry telemetry_;
  std::vector<std::unique_ptr<net::Loop>> loops_;
  std::unique_ptr<session::Plane> plane_;
  std::vector<std::vector<std::unique_ptr<net::Listener>>> listeners_;  // by worker
  std::vector<std::unique_ptr<net::Timer>> deadlines_;
  std::vector<std::unique_ptr<net::Timer>> ends_;
  std::vector<std::unique_ptr<net::Timer>> backlog_;  // by worker, after a hand-over
  std::unique_ptr<net::Timer> grace_;                 // on the first loop
  std::vector<std::thread> threads_;
  std::vector<int> listen_fds_;
  std::uint16_t port_ = 0;
  std::atomic<bool> draining_ = false;
  std::atomic<std::size_t> busy_workers_ = 0;
  std::atomic<std::size_t> running_loops_ = 0;
  std::atomic<bool> told_end_ = false;
  std::atomic<bool> hurry_ = false;                      // no client is waited for any more
  std::atomic<bool> at_once_ = false;                    // nor the origin
  std::chrono::steady_clock::time_point last_moment_{};  // for the origin, once told_end_
  std::function<void()> ended_;
};

}  // namespace hyperdrive::proxy::server
