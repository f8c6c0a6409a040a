// A short deterministic run of what tests/fuzz does without end (the asan preset watches).
#include <catch2/catch.hpp>

#include "fuzz/admin_requests.hpp"
#include "fuzz/mutate.hpp"

TEST_CASE("mutated requests are answered, and none gets by without the token") {
  constexpr unsigned kSeed = 20261125;
  INFO("seed " << kSeed);
  std::mt19937 random(kSeed);
  for (int round = 0; round < 5'000; ++round) {
    const std::string input =
        hyperdrive::tests::fuzz::mutated(hyperdrive::tests::fuzz::admin_seeds(), random);
    // A copy of exact size, so that the sanitizer sees one byte too far.
    const std::vector<char> exact(input.begin(), input.end());
    hyperdrive::tests::fuzz::admin_request({exact.data(), exact.size()});
  }
  SUCCEED("nothing aborted");
}
