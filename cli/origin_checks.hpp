// What `test` and `doctor` say of an origin: the verification's steps, then whether its limits and
// settings fit the config.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <vector>

#include "cli/context.hpp"
#include "cli/output/report.hpp"
#include "core/base/error.hpp"
#include "core/config/config.hpp"

namespace hyperdrive::cli {

/// One finding a step, and one for each of: round trips spared, limits, what
/// replication needs (wal_level, log_bin). Pure.
std::vector<Finding> findings_of(const core::Config& config, const nlohmann::ordered_json& report);

/// Verifies the origin of a config by name or id.
core::Result<std::vector<Finding>> check_origin(Context& context, std::string_view id_or_name);

}  // namespace hyperdrive::cli
