#include "proxy/session/postgres/cancel_keys.hpp"

#include <catch2/catch.hpp>

namespace hyperdrive::tests {

using proxy::session::postgres::CancelKey;
using proxy::session::postgres::CancelKeys;

TEST_CASE("a cancel key finds its session's worker, and nothing else does") {
  CancelKeys keys;
  const CancelKey one = keys.issue(3, 4);
  const CancelKey longer = keys.issue(5, 32);
  CHECK(keys.find(one.process_id, one.key) == 3u);
  CHECK(keys.find(longer.process_id, longer.key) == 5u);
  CHECK_FALSE(keys.find(longer.process_id, longer.key.substr(0, 4)));
  CHECK_FALSE(keys.find(one.process_id, longer.key));
  keys.withdraw(one.process_id);
  CHECK_FALSE(keys.find(one.process_id, one.key));
}

TEST_CASE("however many cancel keys are wrong, the right one is heard") {
  CancelKeys keys;
  const CancelKey mine = keys.issue(1, 4);
  for (int i = 0; i < 1000; ++i) CHECK_FALSE(keys.find(mine.process_id, "none"));
  CHECK(keys.find(mine.process_id, mine.key) == 1u);
}

}  // namespace hyperdrive::tests
