// Which configs a folder's Worker uses: the bindings of its wrangler file, looked up in the
// registry. `dev` and `env` work on these.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/context.hpp"
#include "core/base/error.hpp"
#include "core/config/config.hpp"

namespace hyperdrive::cli {

struct BoundConfig {
  std::string binding;
  core::Config config;     ///< with its secrets
  bool temporary = false;  ///< not in the registry: made of a binding's localConnectionString
  bool unbound = false;    ///< no wrangler file here binds it: `binding` is the default name
};

/// Every binding of the wrangler file here (in the environment of `-e`); with `only` the bindings
/// of that config, or the default binding name if there is none. A binding whose id is unknown here
/// gets a temporary config from its localConnectionString; without one it is an error that says how
/// to go on.
core::Result<std::vector<BoundConfig>> bound_configs(Context& context, std::string_view only);

/// CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_<BINDING>.
std::string local_variable(std::string_view binding);

}  // namespace hyperdrive::cli
