// Mutations for the deterministic tests that run what the fuzzers run: one seed number, one input.
#pragma once

#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace hyperdrive::tests::fuzz {

/// One of `seeds` with up to seven changes: bytes replaced, cut, inserted, doubled, lengths that
/// lie.
inline std::string mutated(const std::vector<std::string>& seeds, std::mt19937& random) {
  static constexpr std::string_view kUsual("\0\x01\x7f\x80\xfb\xfc\xfd\xfe\xff\"'\\/*-$;\n{[(", 21);
  std::string input = seeds[random() % seeds.size()];
  for (unsigned changes = random() % 8; changes > 0 && !input.empty(); --changes) {
    const std::size_t at = random() % input.size();
    const std::size_t size = 1 + random() % 8;
    switch (random() % 7) {
      case 0:
        input[at] = static_cast<char>(random());
        break;
      case 1:
        input[at] = kUsual[random() % kUsual.size()];
        break;
      case 2:
        input.resize(at);
        break;
      case 3:
        input.erase(at, size);
        break;
      case 4:
        input.insert(at, 1, kUsual[random() % kUsual.size()]);
        break;
      case 5:
        input.insert(at, input.substr(random() % input.size(), size * 4));
        break;
      default:
        input.insert(at, seeds[random() % seeds.size()]);
    }
  }
  return input;
}

}  // namespace hyperdrive::tests::fuzz
