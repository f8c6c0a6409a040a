// From a stored config to what a proxy starts from.
#pragma once

#include "cli/context.hpp"
#include "core/base/error.hpp"
#include "core/config/config.hpp"

namespace hyperdrive::cli {

/// The launch document of a config with its secrets. An origin that only Cloudflare reaches is
/// warned about. A missing password (a pulled config) is taken from --origin-password-file or asked
/// for, and stored.
core::Result<core::Launch> launch_of(Context& context, const core::Config& config);

}  // namespace hyperdrive::cli
