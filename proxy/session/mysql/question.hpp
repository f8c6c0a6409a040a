// Questions of the proxy's own on a Dialogue: a text query, its rows as text. For verification and
// what else asks a few rows; each packet is bounded by the dialogue's limit.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "proxy/net/task.hpp"
#include "proxy/session/mysql/dialogue.hpp"

namespace hyperdrive::proxy::session::mysql {

/// Nothing where the value is NULL.
using TextRow = std::vector<std::optional<std::string>>;

/// All rows of one statement's result; none for a statement without one. `capabilities`: those that
/// the login agreed on. An error has the origin's words and code::kTestQueryFailed.
net::Task<core::Result<std::vector<TextRow>>> ask(Dialogue& dialogue, std::string_view sql,
                                                  std::uint64_t capabilities);

}  // namespace hyperdrive::proxy::session::mysql
