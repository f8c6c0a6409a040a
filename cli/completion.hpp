// What the shell offers at the cursor. Secrets are never offered; nothing is created.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cli/context.hpp"

namespace hyperdrive::cli {

struct Candidate {
  std::string text;
  std::string says;
};

struct Completion {
  std::vector<Candidate> candidates;
  /// What else the shell should offer by itself: `files`, `folders`, `command`, or empty.
  std::string also;
};

/// `words`: the line after the program's name, the last one being typed (perhaps empty).
Completion complete(Context& context, std::span<const std::string> words);

}  // namespace hyperdrive::cli
