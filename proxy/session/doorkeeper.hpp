// Who comes for the second time? Lets a full memo keep what is asked again, not every text that
// differs from the last one in a number: keeping those only costs it the ones that matter.
//
// Remembers one hash for each of its places, the latest. A value member of a memo, of its thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hyperdrive::proxy::session {

class Doorkeeper {
 public:
  /// Whether this hash was here before, as far as it is remembered; from now on it is.
  bool knows(std::size_t hash) {
    const std::uint64_t spread = hash * 0x9e3779b97f4a7c15u;
    std::uint32_t& place = seen_[spread >> (64 - kBits)];
    const auto mark = static_cast<std::uint32_t>(spread) | 1;  // 0: nobody yet
    const bool known = place == mark;
    place = mark;
    return known;
  }

 private:
  static constexpr unsigned kBits = 12;
  std::array<std::uint32_t, 1u << kBits> seen_{};
};

}  // namespace hyperdrive::proxy::session
