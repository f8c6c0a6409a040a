// Where the wrangler file of a project lies. Reads the file system, changes nothing; any thread.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "core/base/error.hpp"

namespace hyperdrive::core::wrangler {

/// The file that `wrangler hyperdrive …` would use: `explicit_file` (`-c`, relative to `cwd`) if
/// given, which must exist; else wrangler.json, then wrangler.jsonc, then wrangler.toml, each
/// searched from `cwd` upwards to the root. As in wrangler, a wrangler.json far above wins over a
/// wrangler.toml here. nullopt: there is none.
Result<std::optional<std::filesystem::path>> find_config(
    const std::filesystem::path& cwd,
    const std::optional<std::filesystem::path>& explicit_file = {});

/// The wrangler files in `folder` itself and below it (node_modules, hidden folders and build
/// output left out; `limit` folders at most): who else may bind a config that is about to go.
std::vector<std::filesystem::path> nearby_configs(const std::filesystem::path& folder,
                                                  std::size_t limit = 2000);

}  // namespace hyperdrive::core::wrangler
