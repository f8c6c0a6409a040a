// A short deterministic run of what tests/fuzz does without end: no input makes a parser read out
// of bounds (the asan preset watches) or accept something that it cannot give back.
#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "fuzz/postgres_messages.hpp"

TEST_CASE("random and mutated messages are parsed within their bounds") {
  constexpr unsigned kSeed = 20261123;
  INFO("seed " << kSeed);
  std::mt19937 random(kSeed);
  const auto& seeds = hyperdrive::tests::fuzz::postgres_seeds();
  for (int round = 0; round < 20'000; ++round) {
    std::string input = seeds[random() % seeds.size()];
    const int changes = static_cast<int>(random() % 4);
    for (int i = 0; i < changes && !input.empty(); ++i) {
      switch (random() % 3) {
        case 0:
          input[random() % input.size()] = static_cast<char>(random());
          break;
        case 1:
          input.resize(random() % (input.size() + 1));
          break;
        default:
          input.insert(random() % (input.size() + 1), 1, static_cast<char>(random()));
      }
    }
    // A copy of exact size, so that the sanitizer sees one byte too far.
    const std::vector<char> exact(input.begin(), input.end());
    hyperdrive::tests::fuzz::postgres_messages({exact.data(), exact.size()});
  }
}
