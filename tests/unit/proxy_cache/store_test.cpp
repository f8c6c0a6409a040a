#include <malloc.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <deque>
#include <fstream>
#include <list>
#include <random>
#include <set>
#include <thread>
#include <unordered_map>

#include "make.hpp"

using namespace cache_test;

namespace {

bool never_dead(const Entry&) { return false; }

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

/// Ranks 0..n-1 with probability proportional to 1/(rank+1)^s.
class Zipf {
 public:
  Zipf(std::size_t n, double s) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) cumulated_.push_back(sum += std::pow(double(i + 1), -s));
  }
  std::size_t operator()(std::mt19937_64& random) {
    const double at = std::uniform_real_distribution<>(0, cumulated_.back())(random);
    return std::lower_bound(cumulated_.begin(), cumulated_.end(), at) - cumulated_.begin();
  }

 private:
  std::vector<double> cumulated_;
};

/// The rival: exact LRU over as many entries.
class Lru {
 public:
  explicit Lru(std::size_t capacity) : capacity_(capacity) {}
  bool touch(std::size_t key) {
    if (auto it = index_.find(key); it != index_.end()) {
      order_.splice(order_.begin(), order_, it->second);
      return true;
    }
    order_.push_front(key);
    index_[key] = order_.begin();
    if (order_.size() > capacity_) {
      index_.erase(order_.back());
      order_.pop_back();
    }
    return false;
  }

 private:
  std::size_t capacity_;
  std::list<std::size_t> order_;
  std::unordered_map<std::size_t, std::list<std::size_t>::iterator> index_;
};

}  // namespace

TEST_CASE("the store finds what was put in, by the whole key") {
  Store store(1 << 20, never_dead);
  REQUIRE(store.insert(entry("key one", 10)));
  REQUIRE(store.insert(entry("key two", 20)));
  CHECK(store.find("key one")->rows_size() == 10);
  CHECK(store.find("key two")->rows_size() == 20);
  CHECK_FALSE(store.find("key thr"));
  CHECK_FALSE(store.find(""));
  CHECK(store.entries() == 2);
}

TEST_CASE("a newer answer takes the place of the older one; a reader keeps the older") {
  Store store(1 << 20, never_dead);
  store.insert(entry("k", 10));
  const EntryRef held = store.find("k");
  store.insert(entry("k", 30));
  CHECK(store.find("k")->rows_size() == 30);
  CHECK(rows_of(*held) == std::string(10, 'r'));
  CHECK(store.entries() == 1);
  store.erase(*held);
  CHECK(store.find("k"));
}

TEST_CASE("an answer over an eighth of the budget is not kept") {
  Store store(1 << 20, never_dead);
  CHECK_FALSE(store.insert(entry("big", (1 << 17) + 1)));
  CHECK(store.insert(entry("fits", 100'000)));
  CHECK_FALSE(store.find("big"));
}

TEST_CASE("a random history agrees with a plain map as long as nothing is evicted") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Store store(64 << 20, never_dead);
  std::unordered_map<std::string, std::size_t> model;
  for (int i = 0; i < 200'000; ++i) {
    const std::string key = "k" + std::to_string(random() % 5'000);
    switch (random() % 3) {
      case 0: {
        const std::size_t rows = random() % 200;
        store.insert(entry(key, rows));
        model[key] = rows;
        break;
      }
      case 1:
        if (const EntryRef found = store.find(key)) store.erase(*found);
        model.erase(key);
        break;
      default: {
        const EntryRef found = store.find(key);
        const auto it = model.find(key);
        REQUIRE(bool(found) == (it != model.end()));
        if (found) REQUIRE(found->rows_size() == it->second);
      }
    }
  }
  CHECK(store.entries() == model.size());
}

TEST_CASE("the budget counts what malloc counts") {
  std::vector<std::string> keys;
  for (int i = 0; i < 60'000; ++i)
    keys.push_back("select * from product where id = " + std::to_string(i));
  Store store(256 << 20, never_dead);
  const std::size_t before = mallinfo2().uordblks;
  for (std::size_t i = 0; i < keys.size(); ++i) store.insert(entry(keys[i], 50 + i % 700));
  const double held = double(mallinfo2().uordblks - before);
  if (held == 0) {
    WARN("a sanitizer's allocator does not tell what it holds");
    return;
  }
  CAPTURE(held, store.bytes());
  CHECK(double(store.bytes()) > held * 0.97);
  CHECK(double(store.bytes()) < held * 1.06);
  store.clear();
  CHECK(store.bytes() == 0);
  CHECK(store.entries() == 0);
}

TEST_CASE("resizing and purging act at once") {
  Store store(8 << 20, never_dead);
  for (int i = 0; i < 20'000; ++i) store.insert(entry("key " + std::to_string(i), 200));
  const auto full = store.bytes();
  CHECK(full <= 8u << 20);
  store.resize(1 << 20);
  CHECK(store.bytes() <= 1u << 20);
  const Purged purged = store.sweep([](const Entry& found) { return found.key().back() == '7'; });
  CHECK(purged.entries > 0);
  CHECK_FALSE(store.find("key 19997"));
  store.clear();
  CHECK(store.bytes() == 0);
}

TEST_CASE("millions of distinct keys stay within the budget, in resident bytes too") {
  constexpr std::size_t kBudget = 16 << 20;
  Store store(kBudget, never_dead);
  const std::size_t before = resident_bytes();
  std::size_t worst = 0;
  for (int i = 0; i < 2'000'000; ++i) {
    store.insert(entry("select * from product where id = " + std::to_string(i), i % 600));
    if (i % 50'000 == 0) worst = std::max(worst, resident_bytes());
    if (store.bytes() > kBudget) FAIL("over the budget: " << store.bytes());
  }
  worst = std::max(worst, resident_bytes());
  CAPTURE(before, worst);
  CHECK(worst < before + kBudget * 13 / 10);
  CHECK(store.bytes() > kBudget * 9 / 10);
}

TEST_CASE("a Zipf load hits at least as often as under LRU") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  for (const double skew : {0.7, 0.9, 1.1}) {
    std::mt19937_64 random(seed);
    Zipf zipf(100'000, skew);
    Store store(4 << 20, never_dead);
    // LRU gets as many places as the store holds once it is full.
    for (int i = 0; i < 40'000; ++i) store.insert(entry("warm" + std::to_string(i), 100));
    Lru lru(store.entries());
    store.clear();
    std::size_t ours = 0, theirs = 0;
    for (int i = 0; i < 600'000; ++i) {
      const std::size_t rank = zipf(random);
      const std::string key = "key" + std::to_string(rank);
      if (store.find(key))
        ++ours;
      else
        store.insert(entry(key, 100));
      if (lru.touch(rank)) ++theirs;
    }
    CAPTURE(skew, ours, theirs);
    CHECK(ours >= theirs);
  }
}

TEST_CASE("a scan does not push out what is hot") {
  Store store(1 << 20, never_dead);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 100; ++i) {
      const std::string key = "hot" + std::to_string(i);
      if (!store.find(key)) store.insert(entry(key, 100));
    }
  }
  for (int i = 0; i < 50'000; ++i) store.insert(entry("scan" + std::to_string(i), 100));
  int left = 0;
  for (int i = 0; i < 100; ++i) left += bool(store.find("hot" + std::to_string(i)));
  CHECK(left == 100);
}

TEST_CASE("threads share the store") {
  Store store(2 << 20, never_dead);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t);
      for (int i = 0; i < 40'000; ++i) {
        const std::size_t n = random() % 8'000;
        const std::string key = "k" + std::to_string(n);
        if (const EntryRef found = store.find(key)) {
          if (found->rows_size() != n % 300 || found->key() != key) std::abort();
          if (random() % 16 == 0) store.erase(*found);
        } else {
          store.insert(entry(key, n % 300));
        }
        if (t == 0 && i % 10'000 == 0)
          store.sweep([](const Entry& e) { return e.rows_size() < 20; });
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(store.bytes() <= 2u << 20);
  store.clear();
  CHECK(store.bytes() == 0);
}
