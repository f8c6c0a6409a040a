// One line of `hyperdrive dev` for one event of GET /v1/events. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/output/output.hpp"

namespace hyperdrive::cli {

/// `HIT 0.2 ms  50 rows  SELECT …`; nullopt for events that `dev` does not show.
std::optional<std::string> event_line(std::string_view json, const Output& out);

}  // namespace hyperdrive::cli
