// A short deterministic run of what tests/fuzz does without end (the asan preset watches).
#include <catch2/catch.hpp>

#include "fuzz/mutate.hpp"
#include "fuzz/user_texts.hpp"

TEST_CASE("mutated texts of people are read or refused, and edits can be taken back") {
  constexpr unsigned kSeed = 20261125;
  INFO("seed " << kSeed);
  std::mt19937 random(kSeed);
  for (int round = 0; round < 3'000; ++round) {
    const std::string input =
        hyperdrive::tests::fuzz::mutated(hyperdrive::tests::fuzz::user_seeds(), random);
    // A copy of exact size, so that the sanitizer sees one byte too far.
    const std::vector<char> exact(input.begin(), input.end());
    hyperdrive::tests::fuzz::user_texts({exact.data(), exact.size()});
  }
  SUCCEED("nothing aborted");
}
