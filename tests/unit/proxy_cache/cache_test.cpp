#include <atomic>
#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "make.hpp"

using namespace cache_test;
using hyperdrive::core::Invalidation;
using State = Found::State;

TEST_CASE("an answer is fresh, then stale for one refresher, then gone") {
  Cache cache({}, policy(Invalidation::kNone));
  REQUIRE(fill(cache, "k", "rows") == Cache::Outcome::kStored);
  CHECK(cache.find("k", kMinute, kStart + 59s).state == State::kFresh);
  CHECK(cache.find("k", kMinute, kStart + 59s).age == 59s);
  const Found stale = cache.find("k", kMinute, kStart + 61s);
  CHECK(stale.state == State::kStale);
  CHECK(stale.refresh);
  CHECK_FALSE(cache.find("k", kMinute, kStart + 61s).refresh);
  cache.refresh_failed(*stale.entry, kStart + 61s);
  CHECK(cache.find("k", kMinute, kStart + 63s).refresh);
  CHECK(cache.find("k", kMinute, kStart + 75s).state == State::kNone);
  CHECK(cache.find("k", kMinute, kStart + 1s).state == State::kNone);
}

TEST_CASE("shorter terms act on answers that are there already") {
  Cache cache({}, policy(Invalidation::kNone));
  fill(cache, "k", "rows");
  CHECK(cache.find("k", Lifetime{5s, 0s}, kStart + 4s).state == State::kFresh);
  CHECK(cache.find("k", Lifetime{5s, 0s}, kStart + 5s).state == State::kNone);
}

TEST_CASE("mode none serves on after a write, and says so") {
  Cache cache({}, policy(Invalidation::kNone));
  Mark* products = &cache.epochs().table(42);
  fill(cache, "k", "rows", {products});
  CHECK(cache.find("k", kMinute, kStart).written == nullptr);
  WriteIntent write = cache.epochs().begin_write();
  write.add({&products, 1});
  CHECK(cache.find("k", kMinute, kStart).written == nullptr);
  write.commit();
  const Found found = cache.find("k", kMinute, kStart);
  CHECK(found.state == State::kFresh);
  REQUIRE(found.written != nullptr);
  CHECK(found.written->id() == 42);
}

TEST_CASE("modes writes and replication obey every write, in swr too") {
  Cache cache({}, policy(Invalidation::kWrites));
  Mark* products = &cache.epochs().table(42);
  fill(cache, "k", "rows", {products});
  WriteIntent write = cache.epochs().begin_write();
  write.add({&products, 1});
  CHECK(cache.find("k", kMinute, kStart).state == State::kNone);
  CHECK(fill(cache, "k", "rows", {products}) == Cache::Outcome::kOverlapped);
  CHECK(cache.find("k", kMinute, kStart).state == State::kNone);
  write.commit();
  CHECK(fill(cache, "k", "rows", {products}) == Cache::Outcome::kStored);
  CHECK(cache.find("k", kMinute, kStart + 61s).state == State::kStale);
  WriteIntent other = cache.epochs().begin_write();
  other.add_everything();
  other.commit();
  CHECK(cache.find("k", kMinute, kStart + 61s).state == State::kNone);
}

TEST_CASE("a write between dispatch and answer keeps the answer out of the store") {
  Cache cache({}, policy(Invalidation::kWrites));
  Mark* table = &cache.epochs().table(1);
  Boarding boarding = cache.board("k", {&table, 1}, [](Landing) {});
  WriteIntent write = cache.epochs().begin_write();
  write.add({&table, 1});
  write.commit();
  SECTION("dispatched before it") {
    CHECK(cache.finish(std::move(boarding.leader), {"k", "", "", 1us, 0}, cache.capture(),
                       kStart) == Cache::Outcome::kOverlapped);
  }
  SECTION("dispatched after it") {
    boarding.leader.dispatch(cache.epochs().now());
    CHECK(cache.finish(std::move(boarding.leader), {"k", "", "", 1us, 0}, cache.capture(),
                       kStart) == Cache::Outcome::kStored);
  }
}

TEST_CASE("nobody joins a flight that left before a write, or while one is open") {
  Cache cache({}, policy(Invalidation::kWrites));
  Mark* table = &cache.epochs().table(1);
  Boarding first = cache.board("k", {&table, 1}, [](Landing) {});
  WriteIntent write = cache.epochs().begin_write();
  write.add({&table, 1});
  Boarding second = cache.board("k", {&table, 1}, [](Landing) {});
  CHECK(second.leader);
  Boarding third = cache.board("k", {&table, 1}, [](Landing) {});
  CHECK(third.leader);
  write.commit();
  Boarding fourth = cache.board("k", {&table, 1}, [](Landing) {});
  CHECK(fourth.leader);
  CHECK(cache.board("k", {&table, 1}, [](Landing) {}).follower);
}

TEST_CASE("purges act in every mode") {
  Cache cache({}, policy(Invalidation::kNone));
  Mark* table = &cache.epochs().table(1);
  Mark* tag = &cache.epochs().tag("t");
  fill(cache, "a", "rows", {table});
  fill(cache, "b", "rows", {tag});
  fill(cache, "c", "rows");
  CHECK(cache.purge_table(1).entries == 1);
  CHECK(cache.find("a", kMinute, kStart).state == State::kNone);
  CHECK(cache.find("b", kMinute, kStart).state == State::kFresh);
  CHECK(cache.purge(*tag).entries == 1);
  CHECK(cache.find("c", kMinute, kStart).state == State::kFresh);
  Boarding flying = cache.board("d", {}, [](Landing) {});
  CHECK(cache.purge_all().entries == 1);
  CHECK(cache.finish(std::move(flying.leader), {"d", "", "", 1us, 0}, cache.capture(), kStart) ==
        Cache::Outcome::kOverlapped);
  CHECK(cache.store().entries() == 0);
}

TEST_CASE("an answer that grows too big is given up, and nobody is made to wait for it") {
  Cache cache({1 << 20}, policy(Invalidation::kNone));
  bool woken = false;
  Boarding leader = cache.board("k", {}, [](Landing) {});
  Boarding follower = cache.board("k", {}, [&](Landing landing) {
    woken = true;
    CHECK_FALSE(landing.entry);
    CHECK_FALSE(landing.leader);
  });
  Capture capture = cache.capture();
  for (int i = 0; i < 200; ++i) capture.append(std::string(1000, 'x'));
  CHECK(capture.overflowed());
  CHECK(cache.finish(std::move(leader.leader), {"k", "", "", 1us, 0}, std::move(capture), kStart) ==
        Cache::Outcome::kOversized);
  CHECK(woken);
  CHECK(fill(cache, "k", std::string(90'000, 'x')) == Cache::Outcome::kStored);
}

TEST_CASE("captures together are bounded, too") {
  Cache cache({1 << 20}, policy(Invalidation::kNone));
  std::vector<Capture> captures;
  int given_up = 0;
  for (int i = 0; i < 20; ++i) {
    captures.push_back(cache.capture());
    captures.back().append(std::string(60'000, 'x'));
    given_up += captures.back().overflowed();
  }
  CHECK(given_up >= 15);
  captures.clear();
  Capture again = cache.capture();
  again.append(std::string(60'000, 'x'));
  CHECK_FALSE(again.overflowed());
}

TEST_CASE("a change of the mode of freshness empties the cache; other changes do not") {
  Cache cache({}, policy(Invalidation::kNone));
  fill(cache, "k", "rows");
  const auto generation = cache.policy_generation();
  Policy shorter = policy(Invalidation::kNone);
  shorter.lifetime = {1s, 0s};
  cache.reload(shorter);
  CHECK(cache.policy_generation() != generation);
  CHECK(cache.policy()->lifetime.max_age == 1s);
  CHECK(cache.store().entries() == 1);
  cache.reload(policy(Invalidation::kWrites));
  CHECK(cache.store().entries() == 0);
}

TEST_CASE("concurrent writers and readers: no reader goes back behind what anyone was told") {
  // The origin is an atomic version number. A write through the proxy: announce, change the origin,
  // settle, tell. A read: from the cache, or from the origin and then stored.
  Cache cache({1 << 20}, policy(Invalidation::kWrites));
  Mark* table = &cache.epochs().table(1);
  std::atomic<int> origin{0}, told{0};
  std::atomic<bool> done{false};
  std::atomic<int> violations{0}, hits{0};
  std::thread writer([&] {
    for (int version = 1; version <= 4'000; ++version) {
      WriteIntent write = cache.epochs().begin_write();
      write.add({&table, 1});
      if (version % 7 == 0) std::this_thread::yield();
      origin.store(version);
      write.commit();
      told.store(version);
      for (int i = 0; i < version % 5; ++i) std::this_thread::yield();
      // Readers must get to use what they have stored, however few cores there are.
      const int before = hits;
      for (int i = 0; version % 100 == 0 && hits == before && i < 1'000'000; ++i) {
        std::this_thread::yield();
      }
    }
    done = true;
  });
  auto read = [&] {
    int last = 0;
    while (!done) {
      const int least = std::max(told.load(), last);
      int seen = 0;
      const Found found = cache.find("k", kMinute, kStart);
      if (found.state != State::kNone) {
        seen = std::stoi(rows_of(*found.entry));
        ++hits;
      } else {
        Boarding boarding = cache.board("k", {&table, 1}, [](Landing) {});
        if (!boarding.leader) continue;
        boarding.leader.dispatch(cache.epochs().now());
        seen = origin.load();
        std::this_thread::yield();
        Capture capture = cache.capture();
        capture.append(std::to_string(seen));
        cache.finish(std::move(boarding.leader), {"k", "", "", 1us, 1}, std::move(capture), kStart);
      }
      if (seen < least) ++violations;
      last = seen;
    }
  };
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) readers.emplace_back(read);
  writer.join();
  for (auto& reader : readers) reader.join();
  CHECK(violations == 0);
  CHECK(hits > 0);
}
