// "did you mean": the nearest of some names by edit distance.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hyperdrive::core {

/// Edits (insert, delete, replace, swap of neighbours) between two byte strings, at most `limit`
/// + 1.
std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit);
/// Up to `count` candidates within a third of the length (at least one edit), nearest first.
std::vector<std::string> nearest(std::string_view name, std::span<const std::string> candidates,
                                 std::size_t count = 3);
/// `Did you mean 'a' or 'b'?`, or empty.
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates);

}  // namespace hyperdrive::core
