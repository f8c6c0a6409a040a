// A pool on real loops in real threads, with an origin of the test's own making.
#pragma once

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "proxy/net/loop.hpp"
#include "proxy/pool/pool.hpp"

namespace hyperdrive::tests {

using namespace std::chrono_literals;
using namespace hyperdrive::proxy;

inline bool eventually(const std::function<bool()>& condition,
                       std::chrono::milliseconds patience = 30s) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

/// A connection that is whatever the test says.
class FakeConnection final : public pool::OriginConnection {
 public:
  explicit FakeConnection(std::atomic<int>& open) : open_(open) { ++open_; }
  ~FakeConnection() override { --open_; }
  bool is_reusable() const override { return reusable; }
  void park() override {
    parked = true;
    if (on_park) std::exchange(on_park, nullptr)();
  }
  void unpark() override { parked = false; }
  void detach(std::function<void(bool)> done) override { done(true); }
  void attach(std::size_t worker) override { attached_to = worker; }
  void retire(std::unique_ptr<OriginConnection> self, std::function<void()> closed) override {
    auto held = std::move(hold_closed);
    self.reset();
    held ? held(std::move(closed)) : closed();
  }

  std::atomic<bool> reusable = true;
  std::atomic<bool> parked = false;
  std::atomic<std::size_t> attached_to = 0;
  std::function<void()> on_park;  ///< happens in the midst of it
  /// Gets what says that the origin has closed it; else it has at once.
  std::function<void(std::function<void()> closed)> hold_closed;

 private:
  std::atomic<int>& open_;
};

/// Loops, a pool, and attempts to open that end when the test says so.
class Bench final : public pool::Opener {
 public:
  explicit Bench(pool::PoolOptions options, std::size_t workers = 1) {
    std::vector<net::Loop*> plain;
    for (std::size_t i = 0; i < workers; ++i) {
      loops_.push_back(std::move(*net::Loop::create(net::Loop::Backend::kEpoll)));
      plain.push_back(loops_.back().get());
    }
    pool_ = std::make_unique<pool::Pool>(plain, *this, options);
    for (net::Loop* loop : plain) threads_.emplace_back([loop] { loop->run(); });
  }
  ~Bench() override {
    for (std::size_t i = 0; i < loops_.size(); ++i) on(i, [&] { pool_->close(i, true); });
    for (const auto& loop : loops_) loop->stop();
    for (std::thread& thread : threads_) thread.join();
    attempts_.clear();
    pool_.reset();
  }

  pool::Pool& pool() { return *pool_; }

  /// Runs `task` on that worker's thread and waits for it.
  void on(std::size_t worker, const std::function<void()>& task) {
    std::promise<void> done;
    loops_[worker]->post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }

  void open(std::size_t worker, Done done) override {
    const std::lock_guard lock(mutex_);
    attempts_.push_back({worker, std::move(done)});
  }
  std::size_t attempts() {
    const std::lock_guard lock(mutex_);
    return attempts_.size();
  }
  /// The oldest attempt ends, once there is one: with a connection, or as `refusal` says.
  void succeed() {
    end([this] { return std::make_unique<FakeConnection>(open_connections); });
  }
  void fail(pool::Refusal refusal) {
    end([refusal] { return tl::unexpected(refusal); });
  }

  std::atomic<int> open_connections = 0;

 private:
  using Outcome = tl::expected<std::unique_ptr<pool::OriginConnection>, pool::Refusal>;
  void end(const std::function<Outcome()>& outcome) {
    // Another worker may be the one to begin it.
    REQUIRE(eventually([this] { return attempts() > 0; }));
    std::pair<std::size_t, Done> attempt;
    {
      const std::lock_guard lock(mutex_);
      attempt = std::move(attempts_.front());
      attempts_.pop_front();
    }
    on(attempt.first, [&] { attempt.second(outcome()); });
  }

  std::vector<std::unique_ptr<net::Loop>> loops_;
  std::vector<std::thread> threads_;
  std::unique_ptr<pool::Pool> pool_;
  std::mutex mutex_;
  std::deque<std::pair<std::size_t, Done>> attempts_;
};

/// A client that wants a connection; keeps what it gets. Says in `order` when that was.
class Client final : public pool::Waiter {
 public:
  Client(Bench& bench, std::size_t worker, std::string name = {})
      : Waiter(worker), bench_(bench), worker_(worker), name_(std::move(name)) {}
  ~Client() override { leave(); }

  void ask() {
    bench_.on(worker_, [&] {
      if (auto connection = bench_.pool().acquire(*this)) granted(std::move(connection));
    });
  }
  /// For one that nobody has claimed; it is this client's from then on.
  void seek() {
    bench_.on(worker_, [&] {
      claims_ = true;
      if (auto connection = bench_.pool().acquire_unclaimed(*this)) granted(std::move(connection));
    });
  }
  /// Somebody else cleans its connection, and it waits for that one.
  std::unique_ptr<pool::OriginConnection> have_cleaned() {
    auto cleaned = std::move(connection_);
    bench_.on(worker_, [&] { bench_.pool().acquire_returning(*this); });
    return cleaned;
  }
  void give_back() {
    bench_.on(worker_, [&] {
      if (connection_) bench_.pool().release(std::move(connection_));
    });
  }
  void leave() {
    bench_.on(worker_, [&] {
      bench_.pool().forget(*this);
      if (connection_) bench_.pool().discard(std::move(connection_));
    });
  }
  bool has() {
    bool yes = false;
    bench_.on(worker_, [&] { yes = connection_ != nullptr; });
    return yes;
  }
  bool was_refused() {
    bool yes = false;
    bench_.on(worker_, [&] { yes = !refusals.empty(); });
    return yes;
  }
  FakeConnection& connection() { return static_cast<FakeConnection&>(*connection_); }

  void granted(std::unique_ptr<pool::OriginConnection> connection) override {
    connection_ = std::move(connection);
    if (claims_) pool::Pool::claim(*connection_, *this);
    const std::lock_guard lock(order_mutex);
    order.push_back(name_);
  }
  void refused(const pool::Refusal& refusal) override { refusals.push_back(refusal); }
  void stayed_away() override { waited_in_vain = true; }

  std::vector<pool::Refusal> refusals;
  std::atomic<bool> waited_in_vain = false;
  inline static std::mutex order_mutex;
  inline static std::vector<std::string> order;

 private:
  Bench& bench_;
  const std::size_t worker_;
  const std::string name_;
  bool claims_ = false;
  std::unique_ptr<pool::OriginConnection> connection_;
};

}  // namespace hyperdrive::tests
