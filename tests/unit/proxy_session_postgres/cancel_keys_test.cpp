#include "proxy/session/postgres/cancel_keys.hpp"

#include <catch2/catch.hpp>

namespace hyperdrive::tests {

using namespace std::chrono_literals;
using proxy::session::postgres::CancelKey;
using proxy::session::postgres::CancelKeys;

TEST_CASE("a cancel key finds its session's worker, and nothing else does") {
  CancelKeys keys;
  const auto now = std::chrono::steady_clock::now();
  const CancelKey one = keys.issue(3, 4);
  const CancelKey longer = keys.issue(5, 32);
  CHECK(keys.find(one.process_id, one.key, now) == 3u);
  CHECK(keys.find(longer.process_id, longer.key, now) == 5u);
  CHECK_FALSE(keys.find(longer.process_id, longer.key.substr(0, 4), now));
  CHECK_FALSE(keys.find(one.process_id, longer.key, now));
  keys.withdraw(one.process_id);
  CHECK_FALSE(keys.find(one.process_id, one.key, now));
}

TEST_CASE("who guesses cancel keys has so many tries a second") {
  CancelKeys keys;
  auto now = std::chrono::steady_clock::now();
  const CancelKey mine = keys.issue(1, 4);
  for (int i = 0; i < CancelKeys::kMostWrong; ++i) {
    CHECK(keys.find(mine.process_id, mine.key, now) == 1u);  // what is right does not count
    CHECK_FALSE(keys.find(mine.process_id, "none", now));
  }
  CHECK_FALSE(keys.find(mine.process_id, mine.key, now + 999ms));
  CHECK(keys.find(mine.process_id, mine.key, now + 1s) == 1u);
}

}  // namespace hyperdrive::tests
