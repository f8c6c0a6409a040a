// Does the origin answer as the config says? `hyperdrive-proxy --verify`, its report, and what a
// person is told of it (docs/admin-api.md has the document).
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "cli/context.hpp"
#include "core/base/error.hpp"
#include "core/config/config.hpp"

namespace hyperdrive::cli {

/// Runs the verification; its report, whether it went well or not. `config` holds its secrets.
core::Result<nlohmann::ordered_json> verification_report(Context& context,
                                                         const core::Config& config);

/// Connects as the proxy would. The Error has the code 2008-2016 and the remedy. An origin that
/// only Cloudflare can reach is not tried; a warning says so. `--no-verify` skips it all.
core::Result<void> verify_unless_told_not_to(Context& context, const core::Config& config);

}  // namespace hyperdrive::cli
