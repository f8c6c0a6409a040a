// Reads a text by its words alone: for what is too large to parse or what the grammar does not know
// (syntax newer than it). Finds what the session and the cache's epochs must not miss; in doubt it
// says that anything may have happened.
#pragma once

#include <string_view>

#include "proxy/sql/analysis.hpp"

namespace hyperdrive::proxy::sql {

/// Fills `statements` and `functions`.
void skim(std::string_view text, Analysis& analysis);

}  // namespace hyperdrive::proxy::sql
