// "did you mean": the nearest of some names by edit distance.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.hpp"

namespace hyperdrive::core {

/// Edits (insert, delete, replace, swap of neighbours) between two byte strings, at most `limit`
/// + 1.
std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit);
/// Up to `count` candidates within a third of the length (at least one edit), nearest first.
std::vector<std::string> nearest(std::string_view name, std::span<const std::string> candidates,
                                 std::size_t count = 3);
/// `Did you mean 'a' or 'b'?`, or empty.
std::string did_you_mean(std::string_view name, std::span<const std::string> candidates);

/// `text` as one word of a command that is told to be typed: quoted where a shell would read it
/// otherwise (`'bad name!'`).
std::string shell_word(std::string_view text);
/// A config in such a command: by its name, or by its id where that would be read as a flag.
std::string shell_word(const Config& config);

}  // namespace hyperdrive::core
