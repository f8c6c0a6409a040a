// A short deterministic run of what tests/fuzz does without end (the asan preset watches).
#include <catch2/catch.hpp>

#include "fuzz/mutate.hpp"
#include "fuzz/mysql_packets.hpp"

TEST_CASE("mutated packets are read within their bounds, and come back as they were read") {
  constexpr unsigned kSeed = 20261125;
  INFO("seed " << kSeed);
  std::mt19937 random(kSeed);
  for (int round = 0; round < 10'000; ++round) {
    const std::string input =
        hyperdrive::tests::fuzz::mutated(hyperdrive::tests::fuzz::mysql_seeds(), random);
    // A copy of exact size, so that the sanitizer sees one byte too far.
    const std::vector<char> exact(input.begin(), input.end());
    hyperdrive::tests::fuzz::mysql_packets({exact.data(), exact.size()});
  }
  SUCCEED("nothing aborted");
}
