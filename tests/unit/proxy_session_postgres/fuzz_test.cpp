// A short deterministic run of what tests/fuzz does without end (the asan preset watches).
#include <catch2/catch.hpp>

#include "fuzz/cache_bytes.hpp"
#include "fuzz/mutate.hpp"

TEST_CASE("mutated bytes of Redis, of answers and of the log are read within their bounds") {
  constexpr unsigned kSeed = 20261125;
  INFO("seed " << kSeed);
  std::mt19937 random(kSeed);
  for (int round = 0; round < 10'000; ++round) {
    const std::string input =
        hyperdrive::tests::fuzz::mutated(hyperdrive::tests::fuzz::cache_seeds(), random);
    // A copy of exact size, so that the sanitizer sees one byte too far.
    const std::vector<char> exact(input.begin(), input.end());
    hyperdrive::tests::fuzz::cache_bytes({exact.data(), exact.size()});
  }
  SUCCEED("nothing aborted");
}
