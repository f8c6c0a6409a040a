#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "make.hpp"

using namespace cache_test;

namespace {
using hyperdrive::core::Invalidation;
using State = Found::State;

struct Heard {
  int times = 0;
  Landing landing;
  Wake wake() {
    return [this](Landing arrived) {
      ++times;
      landing = std::move(arrived);
    };
  }
};
bool always(Stamp, std::span<Mark* const>) { return true; }
}  // namespace

TEST_CASE("one leads, the others get what it brings") {
  Flights flights(always);
  Heard a, b, unused;
  Boarding leader = flights.board("k", {}, 1, unused.wake());
  REQUIRE(leader.leader);
  Boarding first = flights.board("k", {}, 1, a.wake());
  Boarding second = flights.board("k", {}, 1, b.wake());
  REQUIRE(first.follower);
  REQUIRE_FALSE(first.leader);
  CHECK(flights.board("other", {}, 1, unused.wake()).leader);

  leader.leader.land(entry("k", 5));
  CHECK(a.times == 1);
  CHECK(a.landing.entry->rows_size() == 5);
  CHECK(b.times == 1);
  CHECK(unused.times == 0);
  CHECK(flights.in_the_air() == 0);
}

TEST_CASE("a failed leader wakes one follower to lead; the others wait for that one") {
  Flights flights(always);
  Heard a, b, unused;
  Boarding leader = flights.board("k", {}, 1, unused.wake());
  Boarding first = flights.board("k", {}, 1, a.wake());
  Boarding second = flights.board("k", {}, 1, b.wake());
  leader.leader = {};
  REQUIRE(a.times == 1);
  REQUIRE(a.landing.leader);
  CHECK(b.times == 0);
  Heard late;
  Boarding third = flights.board("k", {}, 1, late.wake());
  REQUIRE(third.follower);
  a.landing.leader.land(entry("k"));
  CHECK(b.landing.entry);
  CHECK(late.landing.entry);
}

TEST_CASE("what an answer depends on is what its own leader knew, not who boarded first") {
  Cache cache({}, policy(Invalidation::kWrites));
  Mark* before = &cache.epochs().table(1);
  Mark* after = &cache.epochs().table(2);
  Heard heir, unused;
  Boarding first = cache.board("k", {&before, 1}, unused.wake());
  Boarding second = cache.board("k", {&after, 1}, heir.wake());
  REQUIRE(second.follower);
  first.leader = {};
  REQUIRE(heir.landing.leader);
  heir.landing.leader.dispatch(cache.epochs().now(), {&after, 1});
  CHECK(cache.finish(std::move(heir.landing.leader), {"k", "", "", 1us, 0}, cache.capture(),
                     kStart) == Cache::Outcome::kStored);
  WriteIntent write = cache.epochs().begin_write();
  write.add({&after, 1});
  write.commit();
  CHECK(cache.find("k", kMinute, kStart).state == State::kNone);
}

TEST_CASE("nobody joins a flight that left before a write of what the newcomer says it reads") {
  Cache cache({}, policy(Invalidation::kWrites));
  Mark* before = &cache.epochs().table(1);
  Mark* after = &cache.epochs().table(2);
  Boarding first = cache.board("k", {&before, 1}, [](Landing) {});
  WriteIntent write = cache.epochs().begin_write();
  write.add({&after, 1});
  write.commit();
  CHECK(cache.board("k", {&after, 1}, [](Landing) {}).leader);
}

TEST_CASE("what must not be shared sends all followers on their own way") {
  Flights flights(always);
  Heard a, b, unused;
  Boarding leader = flights.board("k", {}, 1, unused.wake());
  Boarding first = flights.board("k", {}, 1, a.wake());
  Boarding second = flights.board("k", {}, 1, b.wake());
  leader.leader.refuse();
  for (Heard* heard : {&a, &b}) {
    CHECK(heard->times == 1);
    CHECK_FALSE(heard->landing.entry);
    CHECK_FALSE(heard->landing.leader);
  }
}

TEST_CASE("who leaves is not woken, and a flight without anybody ends") {
  Flights flights(always);
  Heard a, unused;
  Boarding leader = flights.board("k", {}, 1, unused.wake());
  { Boarding first = flights.board("k", {}, 1, a.wake()); }
  leader.leader.fail();
  CHECK(a.times == 0);
  CHECK(flights.in_the_air() == 0);
}

TEST_CASE("who may know of a later write starts a flight of its own") {
  Flights flights([](Stamp stamp, std::span<Mark* const>) { return stamp >= 5; });
  Heard a, unused;
  Boarding old = flights.board("k", {}, 1, unused.wake());
  Boarding fresh = flights.board("k", {}, 5, unused.wake());
  REQUIRE(old.leader);
  REQUIRE(fresh.leader);
  Boarding follower = flights.board("k", {}, 5, a.wake());
  REQUIRE(follower.follower);
  old.leader.land(entry("k", 1));
  CHECK(a.times == 0);
  fresh.leader.land(entry("k", 2));
  CHECK(a.landing.entry->rows_size() == 2);
}

TEST_CASE("a background refresh stays on the ground while somebody flies") {
  Flights flights(always);
  auto first = flights.lead("k", {}, 1);
  REQUIRE(first);
  CHECK_FALSE(flights.lead("k", {}, 1));
  first.reset();
  CHECK(flights.lead("k", {}, 1));
}

TEST_CASE("many threads: every follower is woken exactly once or has left") {
  Flights flights(always);
  struct Seat {
    std::atomic<bool> woken{false};
    Leader inherited;
  };
  std::atomic<int> led{0}, served{0}, left{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 3'000; ++i) {
        auto seat = std::make_shared<Seat>();
        Boarding mine = flights.board("k" + std::to_string(i % 3), {}, 1, [seat](Landing landing) {
          seat->inherited = std::move(landing.leader);
          if (seat->woken.exchange(true)) std::abort();
        });
        if (mine.leader) {
          ++led;
          if ((i + t) % 5 != 0) mine.leader.land(entry("k"));
          continue;  // or fails by its destructor
        }
        for (int spin = 0; spin < 200 && !seat->woken; ++spin) std::this_thread::yield();
        ++(seat->woken ? served : left);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(flights.in_the_air() == 0);
  CHECK(led + served + left == 24'000);
}
