#include <algorithm>
#include <string>

#include "unit/proxy_pool/bench.hpp"

namespace hyperdrive::tests {
namespace {

using namespace std::string_literals;

pool::PoolOptions limited(int limit) {
  pool::PoolOptions options;
  options.limit = limit;
  return options;
}

pool::Refusal refused_by_origin() {
  pool::Refusal refusal;
  refusal.why = pool::Refusal::Why::kRefused;
  refusal.origin_error = "SFATAL\0C28P01\0"s;
  return refusal;
}

pool::Refusal nobody_there() {
  pool::Refusal refusal;
  refusal.transient = true;
  return refusal;
}

pool::Refusal starting_up() {
  pool::Refusal refusal = refused_by_origin();
  refusal.transient = true;
  return refusal;
}

std::vector<std::unique_ptr<Client>> crowd(Bench& bench, int size, std::size_t workers = 1) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < size; ++i) {
    clients.push_back(
        std::make_unique<Client>(bench, static_cast<std::size_t>(i) % workers, std::to_string(i)));
    clients.back()->ask();
  }
  return clients;
}

}  // namespace

TEST_CASE("connections are opened on demand, two at a time, never above the limit") {
  Bench bench(limited(5));
  auto clients = crowd(bench, 20);
  for (int opened = 0; opened < 5; ++opened) {
    CHECK(bench.attempts() == std::min<std::size_t>(2, 5 - opened));
    bench.succeed();
  }
  CHECK(bench.attempts() == 0);
  const pool::PoolGauges gauges = bench.pool().gauges();
  CHECK(gauges.total == 5);
  CHECK(gauges.waiting == 15);
}

TEST_CASE("no more are opened than clients wait for") {
  Bench bench(limited(5));
  Client one(bench, 0);
  one.ask();
  CHECK(bench.attempts() == 1);
  bench.succeed();
  CHECK(one.has());
  one.give_back();
  Client two(bench, 0);
  two.ask();
  CHECK(two.has());
  CHECK(bench.attempts() == 0);
}

TEST_CASE("waiters of all workers are served in the order in which they came") {
  Bench bench(limited(1), 3);
  Client holder(bench, 1);
  holder.ask();
  bench.succeed();
  REQUIRE(eventually([&] { return holder.has(); }));
  auto clients = crowd(bench, 30, 3);
  {
    const std::lock_guard lock(Client::order_mutex);
    Client::order.clear();
  }
  holder.give_back();
  std::vector<std::string> expected;
  for (int i = 0; i < 30; ++i) {
    expected.push_back(std::to_string(i));
    REQUIRE(eventually([&] { return clients[static_cast<std::size_t>(i)]->has(); }));
    clients[static_cast<std::size_t>(i)]->give_back();
  }
  const std::lock_guard lock(Client::order_mutex);
  CHECK(Client::order == expected);
  CHECK(bench.pool().gauges().total == 1);
}

TEST_CASE("nobody overtakes a waiter when a connection comes back") {
  Bench bench(limited(1));
  Client holder(bench, 0), waiter(bench, 0), late(bench, 0);
  holder.ask();
  bench.succeed();
  waiter.ask();
  holder.give_back();
  CHECK(waiter.has());
  late.ask();
  CHECK_FALSE(late.has());
}

TEST_CASE("a connection given to a client that has just left goes to the next") {
  Bench bench(limited(1), 2);
  Client holder(bench, 0), leaving(bench, 1), next(bench, 1);
  holder.ask();
  bench.succeed();
  leaving.ask();
  next.ask();
  holder.give_back();
  // It is on its way to `leaving`, or has just come there.
  bench.on(1, [&] { bench.pool().forget(leaving); });
  leaving.give_back();
  CHECK(eventually([&] { return next.has(); }));
  CHECK(bench.open_connections == 1);
}

TEST_CASE("a client that leaves while another worker serves it is not served any more") {
  Bench bench(limited(1), 2);
  auto holder = std::make_unique<Client>(bench, 0);
  holder->ask();
  bench.succeed();
  REQUIRE(eventually([&] { return holder->has(); }));
  for (int turn = 0; turn < 2000; ++turn) {
    auto leaving = std::make_unique<Client>(bench, 1);
    leaving->ask();
    std::thread gives([&] { holder->give_back(); });
    leaving.reset();  // forgets, or discards what it got
    gives.join();
    holder->ask();
    if (bench.attempts() > 0) bench.succeed();
    REQUIRE(eventually([&] { return holder->has(); }));
  }
  CHECK(bench.open_connections == 1);
  CHECK(bench.pool().gauges().waiting == 0);
}

TEST_CASE("who seeks an unclaimed connection does not keep others from an idle one") {
  Bench bench(limited(3));
  Client first(bench, 0), seeker(bench, 0), other(bench, 0);
  first.seek();
  bench.succeed();
  first.give_back();
  seeker.seek();  // the idle one is claimed, so another is being opened
  CHECK(bench.attempts() == 1);
  other.ask();
  CHECK(other.has());
  other.give_back();
  CHECK_FALSE(seeker.has());
  bench.succeed();
  CHECK(seeker.has());
}

TEST_CASE("who seeks an unclaimed connection hears soon that there will be none") {
  Bench bench(limited(3));
  Client first(bench, 0), seeker(bench, 0), patient(bench, 0);
  first.seek();
  bench.succeed();
  SECTION("because opening failed, although others live") {
    seeker.seek();
    bench.fail(refused_by_origin());
    CHECK(eventually([&] { return seeker.was_refused(); }));
    CHECK(seeker.refusals.at(0).why == pool::Refusal::Why::kRefused);
  }
  SECTION("because opening takes long") {
    seeker.seek();
    CHECK(bench.attempts() == 1);
    CHECK(eventually([&] { return seeker.was_refused(); }));
    CHECK(bench.pool().gauges().waiting == 0);
    bench.succeed();
    CHECK(bench.pool().gauges().idle == 1);
  }
}

TEST_CASE("an opened connection goes to who waits for any before who seeks an unclaimed one") {
  Bench bench(limited(3));
  Client first(bench, 0), seeker(bench, 0), other(bench, 0);
  first.seek();
  bench.succeed();  // and is kept
  seeker.seek();
  other.ask();
  CHECK(bench.attempts() == 2);
  bench.succeed();
  CHECK(other.has());
  CHECK_FALSE(seeker.has());
  bench.succeed();
  CHECK(seeker.has());
}

TEST_CASE("who waits for its own connection gets no other one, and that one as it comes back") {
  Bench bench(limited(2), 2);
  Client owner(bench, 0), other(bench, 1);
  other.ask();
  owner.seek();
  bench.succeed();
  bench.succeed();
  REQUIRE(eventually([&] { return owner.has() && other.has(); }));
  auto* own = &owner.connection();
  auto cleaned = owner.have_cleaned();
  CHECK(bench.pool().gauges().waiting == 1);
  other.give_back();
  CHECK_FALSE(owner.has());
  bench.on(0, [&] { bench.pool().release(std::move(cleaned)); });
  REQUIRE(owner.has());
  CHECK(&owner.connection() == own);
  CHECK_FALSE(owner.waited_in_vain);
}

TEST_CASE("who waits for its own connection hears when it does not come back") {
  Bench bench(limited(1), 2);
  Client owner(bench, 0), other(bench, 1);
  owner.seek();
  bench.succeed();
  auto cleaned = owner.have_cleaned();
  SECTION("because it is gone") {
    bench.on(0, [&] { bench.pool().discard(std::move(cleaned)); });
    CHECK(bench.pool().gauges().waiting == 0);
  }
  SECTION("because it is of no more use") {
    static_cast<FakeConnection&>(*cleaned).reusable = false;
    bench.on(0, [&] { bench.pool().release(std::move(cleaned)); });
    CHECK(bench.pool().gauges().waiting == 0);
  }
  SECTION("because somebody who wants any has waited for it") {
    other.ask();
    bench.on(0, [&] { bench.pool().release(std::move(cleaned)); });
    CHECK(bench.pool().gauges().waiting == 0);
  }
  CHECK(eventually([&] { return owner.waited_in_vain.load(); }));
}

TEST_CASE("who waits for its own connection does not wait long") {
  Bench bench(limited(1));
  Client owner(bench, 0);
  owner.seek();
  bench.succeed();
  auto cleaned = owner.have_cleaned();
  CHECK(eventually([&] { return owner.waited_in_vain.load(); }));
  CHECK_FALSE(owner.was_refused());
  bench.on(0, [&] { bench.pool().release(std::move(cleaned)); });
  CHECK_FALSE(owner.has());
}

TEST_CASE("who waits too long is refused, and the others go on waiting") {
  pool::PoolOptions options = limited(1);
  options.wait_timeout = 300ms;
  Bench bench(options);
  Client holder(bench, 0), waiter(bench, 0);
  holder.ask();
  bench.succeed();
  waiter.ask();
  REQUIRE(eventually([&] { return waiter.was_refused(); }));
  CHECK(waiter.refusals.at(0).why == pool::Refusal::Why::kWaitTimeout);
  CHECK(waiter.refusals.size() == 1);
  waiter.ask();
  holder.give_back();
  CHECK(waiter.has());
}

TEST_CASE("the origin's refusal reaches every waiter of every worker at once") {
  Bench bench(limited(5), 2);
  auto clients = crowd(bench, 10, 2);
  bench.fail(refused_by_origin());
  for (const auto& client : clients) {
    REQUIRE(eventually([&] { return client->was_refused(); }));
    CHECK(client->refusals.at(0).origin_error == refused_by_origin().origin_error);
  }
  CHECK(bench.pool().gauges().waiting == 0);
}

TEST_CASE("while another connection lives, a failed attempt refuses nobody") {
  Bench bench(limited(5));
  Client holder(bench, 0), waiter(bench, 0);
  holder.ask();
  bench.succeed();
  waiter.ask();
  bench.fail(refused_by_origin());
  CHECK_FALSE(waiter.was_refused());
  holder.give_back();
  CHECK(waiter.has());
}

namespace {

/// The origin has answered before; now nobody holds a connection of it.
void was_there(Bench& bench) {
  Client client(bench, 0);
  client.ask();
  bench.succeed();
  client.leave();
}

}  // namespace

TEST_CASE("after failures attempts become rarer, and none is made before its time") {
  Bench bench(limited(2));
  was_there(bench);
  Client waiter(bench, 0);
  waiter.ask();
  // An origin that was there and is gone for a moment: the waiter outlasts it, attempts follow.
  std::vector<std::chrono::steady_clock::duration> pauses;
  for (int failures = 0; failures < 6; ++failures) {
    REQUIRE(eventually([&] { return bench.attempts() == 1; }));
    bench.fail(starting_up());
    const auto begin = std::chrono::steady_clock::now();
    CHECK(bench.attempts() == 0);
    REQUIRE(eventually([&] { return bench.attempts() == 1 || waiter.was_refused(); }));
    if (waiter.was_refused()) break;  // a slow machine: the grace is over
    pauses.push_back(std::chrono::steady_clock::now() - begin);
  }
  // From 25 to 50 ms after the first, at least 400 after the fifth (half of 50 ms doubled 4 times).
  for (std::size_t i = 0; i < pauses.size(); ++i) CHECK(pauses[i] >= 25ms * (1 << i) - 1ms);
  if (!waiter.was_refused()) {
    bench.succeed();
    CHECK(waiter.has());
  }
}

TEST_CASE("an origin that was there and does not answer any more is waited for two seconds") {
  Bench bench(limited(2));
  was_there(bench);
  Client waiter(bench, 0);
  const auto begin = std::chrono::steady_clock::now();
  waiter.ask();
  REQUIRE(eventually([&] {
    if (bench.attempts() > 0) bench.fail(nobody_there());
    return waiter.was_refused();
  }));
  const auto waited = std::chrono::steady_clock::now() - begin;
  CHECK(waited >= 2s);
  CHECK(waited < 4s);
  // It is known now: the next one hears it after one more attempt.
  Client next(bench, 0);
  next.ask();
  bench.fail(nobody_there());
  CHECK(eventually([&] { return next.was_refused(); }));
}

TEST_CASE("idle connections are closed after their time, the last used first kept") {
  pool::PoolOptions options = limited(3);
  options.idle_timeout = 200ms;
  Bench bench(options);
  {
    auto clients = crowd(bench, 3);
    for (int i = 0; i < 3; ++i) bench.succeed();
    for (const auto& client : clients) client->give_back();
    CHECK(bench.pool().gauges().idle == 3);
    CHECK(bench.open_connections == 3);
  }
  CHECK(eventually([&] { return bench.open_connections == 0; }));
  CHECK(bench.pool().gauges().total == 0);
}

TEST_CASE("a connection past its life is closed when it is idle and when it comes back") {
  pool::PoolOptions options = limited(2);
  options.max_lifetime = 300ms;
  Bench bench(options);
  Client idle(bench, 0), busy(bench, 0);
  busy.ask();
  bench.succeed();
  idle.ask();
  bench.succeed();
  idle.give_back();
  CHECK(eventually([&] { return bench.open_connections == 1; }));
  CHECK(busy.has());
  std::this_thread::sleep_until(std::chrono::steady_clock::now() + 300ms);
  busy.give_back();
  CHECK(bench.open_connections == 0);
}

TEST_CASE("lives are spread, so that connections opened together do not end together") {
  pool::PoolOptions options = limited(20);
  options.max_lifetime = 2000ms;  // 200 ms of jitter
  Bench bench(options);
  auto clients = crowd(bench, 20);
  for (int i = 0; i < 20; ++i) bench.succeed();
  for (const auto& client : clients) client->give_back();
  bool some = false;
  REQUIRE(eventually([&] {
    const int left = bench.open_connections;
    some = some || (left > 0 && left < 20);
    return left == 0;
  }));
  CHECK(some);
}

TEST_CASE("a connection that is not reusable is not used again, and its place is free") {
  Bench bench(limited(1));
  Client holder(bench, 0), waiter(bench, 0);
  holder.ask();
  bench.succeed();
  waiter.ask();
  holder.connection().reusable = false;
  holder.give_back();
  CHECK(bench.open_connections == 0);
  REQUIRE(eventually([&] { return bench.attempts() == 1; }));
  bench.succeed();
  CHECK(waiter.has());
}

TEST_CASE("a lower limit takes effect as connections come back") {
  Bench bench(limited(4));
  auto clients = crowd(bench, 4);
  for (int i = 0; i < 4; ++i) bench.succeed();
  bench.pool().configure(limited(2));
  for (const auto& client : clients) client->give_back();
  CHECK(bench.open_connections == 2);
}

TEST_CASE("a lower limit closes the idle connections that are over it") {
  Bench bench(limited(4), 2);
  auto clients = crowd(bench, 4, 2);
  for (int i = 0; i < 4; ++i) bench.succeed();
  REQUIRE(eventually([&] {
    return std::all_of(clients.begin(), clients.end(), [](auto& client) { return client->has(); });
  }));
  for (std::size_t i = 1; i < 4; ++i) clients[i]->give_back();
  REQUIRE(eventually([&] { return bench.pool().gauges().idle == 3; }));
  bench.pool().configure(limited(2));
  CHECK(eventually([&] { return bench.open_connections == 2; }));
  CHECK(bench.pool().gauges().total == 2);
  CHECK(clients[0]->has());
}

TEST_CASE("after renew() the connections of before are used by nobody") {
  Bench bench(limited(2));
  Client busy(bench, 0), idle(bench, 0);
  busy.ask();
  bench.succeed();
  idle.ask();
  bench.succeed();
  idle.give_back();
  bench.pool().renew();
  CHECK(eventually([&] { return bench.open_connections == 1; }));
  busy.give_back();
  CHECK(bench.open_connections == 0);
}

TEST_CASE("the place of a connection that is closed is free when the origin has closed it") {
  Bench bench(limited(1));
  Client old(bench, 0), next(bench, 0);
  old.ask();
  bench.succeed();
  std::function<void()> origin_closes;
  old.connection().hold_closed = [&](auto closed) { origin_closes = std::move(closed); };
  bench.pool().renew();
  old.give_back();
  CHECK(bench.open_connections == 0);
  next.ask();
  CHECK(bench.attempts() == 0);
  CHECK(bench.pool().gauges().total == 1);
  bench.on(0, [&] { origin_closes(); });
  bench.succeed();
  CHECK(next.has());
}

TEST_CASE("connections that are being closed are not over a limit that was lowered") {
  Bench bench(limited(3));
  Client one(bench, 0), two(bench, 0), three(bench, 0);
  for (Client* client : {&one, &two, &three}) {
    client->ask();
    bench.succeed();
    client->connection().hold_closed = [](const auto&) {};  // it never does
  }
  for (Client* client : {&one, &two, &three}) client->give_back();
  bench.pool().configure(limited(2));
  CHECK(eventually([&] { return bench.open_connections == 2; }));
  bench.on(0, [] {});
  CHECK(bench.open_connections == 2);
}

TEST_CASE("an origin that is full is asked again for a while") {
  Bench bench(limited(1));
  Client one(bench, 0);
  one.ask();
  pool::Refusal full;
  full.why = pool::Refusal::Why::kRefused;
  full.full = true;
  bench.fail(full);
  CHECK_FALSE(one.was_refused());
  bench.succeed();
  CHECK(one.has());
}

TEST_CASE("a pool that winds down keeps nothing idle") {
  Bench bench(limited(2));
  Client idle(bench, 0), busy(bench, 0);
  for (Client* client : {&idle, &busy}) {
    client->ask();
    bench.succeed();
  }
  idle.give_back();
  bench.pool().wind_down();
  CHECK(eventually([&] { return bench.open_connections == 1; }));
  busy.give_back();
  CHECK(bench.open_connections == 0);
  idle.ask();  // who is still there is served
  bench.succeed();
  CHECK(idle.has());
}

TEST_CASE("who comes to another worker while a connection is being parked gets it") {
  Bench bench(limited(1), 2);
  Client first(bench, 0);
  Client second(bench, 1);
  first.ask();
  bench.succeed();
  REQUIRE(first.has());
  std::thread asker;  // the pool's mutex is held while it parks one
  first.connection().on_park = [&] { asker = std::thread([&] { second.ask(); }); };
  first.give_back();
  asker.join();
  CHECK(eventually([&] { return second.has(); }));
}

TEST_CASE("a connection that dies while idle is taken out") {
  Bench bench(limited(1));
  Client one(bench, 0);
  one.ask();
  bench.succeed();
  FakeConnection& connection = one.connection();
  one.give_back();
  CHECK(connection.parked);
  bench.on(0, [&] { CHECK(bench.pool().lost(connection) != nullptr); });
  CHECK(bench.pool().gauges().total == 0);
  one.ask();
  CHECK(bench.attempts() == 1);
}

TEST_CASE(
    "any number of clients of any number of workers never pass the limit, and all are served") {
  Bench bench(limited(3), 4);
  std::atomic<bool> over = false;
  std::thread origin([&] {
    while (eventually([&] { return over || bench.attempts() > 0; }) && !over) bench.succeed();
  });
  std::atomic<int> served = 0, most = 0;
  std::vector<std::thread> threads;
  for (std::size_t n = 0; n < 12; ++n) {
    threads.emplace_back([&, n] {
      Client client(bench, n % 4);
      for (int turn = 0; turn < 40; ++turn) {
        client.ask();
        if (!eventually([&] { return client.has(); })) return;
        most = std::max(most.load(), bench.open_connections.load());
        ++served;
        client.give_back();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  over = true;
  origin.join();
  CHECK(served == 12 * 40);
  CHECK(most <= 3);
}

}  // namespace hyperdrive::tests
