// Storing a new config and changing a stored one: shared by `create`, `create --upsert` and
// `update`.
#pragma once

#include "cli/context.hpp"
#include "cli/origin_flags.hpp"
#include "core/base/error.hpp"
#include "core/config/config.hpp"

namespace hyperdrive::cli {

/// Checks, verifies, stores.
core::Result<core::Config> store_new(Context& context, const std::string& name,
                                     const ConfigEdit& edit);

struct Change {
  std::optional<std::string> name;  ///< a new one
  ConfigEdit edit;
};

/// Checks, verifies if the origin changes, stores, and has a running proxy pick it up.
core::Result<core::Config> store_change(Context& context, const core::Config& present,
                                        const Change& change);

}  // namespace hyperdrive::cli
