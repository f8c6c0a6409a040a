// A fixed set of short lower-case words, made at compile time, asked with a hash and a comparison:
// names of functions are looked up in every text that calls one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hyperdrive::proxy::sql {

template <std::size_t N>
class WordSet {
 public:
  consteval explicit WordSet(const std::array<std::string_view, N>& words) {
    for (const std::string_view word : words) {
      std::size_t at = slot_of(word);
      while (!slots_[at].empty()) at = next(at);
      slots_[at] = word;
    }
  }

  bool contains(std::string_view word) const {
    if (word.empty()) return false;
    for (std::size_t at = slot_of(word); !slots_[at].empty(); at = next(at)) {
      if (slots_[at] == word) return true;
    }
    return false;
  }

 private:
  static constexpr std::size_t power_of_two_above(std::size_t count) {
    std::size_t size = 1;
    while (size < count) size *= 2;
    return size;
  }
  /// At most half full, so that most words that are not in it meet an empty slot at once.
  static constexpr std::size_t kSlots = power_of_two_above(2 * N);

  static constexpr std::size_t next(std::size_t at) { return (at + 1) % kSlots; }
  static constexpr std::size_t slot_of(std::string_view word) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(word[at]); };
    const std::size_t last = word.size() - 1;
    std::uint32_t hash = static_cast<std::uint32_t>(word.size());
    for (const std::size_t at : {std::size_t{0}, last / 3, last / 2, last}) {
      hash = hash * 131 + byte(at);
    }
    return (hash * 0x9e3779b1u >> 12) % kSlots;
  }

  std::array<std::string_view, kSlots> slots_{};
};

}  // namespace hyperdrive::proxy::sql
