// The flags of wrangler's `create` and `update` that describe a config, and what they change.
//
// Reading them asks (a password, on a terminal) and opens files.
#pragma once

#include <span>

#include "cli/command.hpp"
#include "cli/config_edit.hpp"
#include "cli/context.hpp"
#include "core/base/error.hpp"

namespace hyperdrive::cli {

std::span<const Flag> origin_flags();

/// For `create`: an origin must be there in full.
core::Result<ConfigEdit> read_new_config(Context& context);
/// For `update`: any part may be there.
core::Result<ConfigEdit> read_config_change(Context& context);

}  // namespace hyperdrive::cli
