// The wrangler file of the folder where a command runs, read and checked, and changes to it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "cli/context.hpp"
#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "core/wrangler/edit.hpp"
#include "core/wrangler/format.hpp"

namespace hyperdrive::cli {

struct WranglerFile {
  std::filesystem::path path;
  core::wrangler::Format format = core::wrangler::Format::kJsonc;
  std::string text;
  core::wrangler::Reading reading;
};

/// The file that `-c` names or that lies here or above; nullopt: there is none. A broken one, or
/// one that wrangler would refuse, is an error. Its warnings are printed.
core::Result<std::optional<WranglerFile>> read_wrangler_file(Context& context);

/// The same, but none is an error.
core::Result<WranglerFile> need_wrangler_file(Context& context);

/// A file that has environments must have the one that `-e` names: a misspelt one would bind, or
/// look, where no Worker does. As in wrangler; a file without any gets its first one by `bind -e`.
core::Result<void> check_environment(Context& context, const WranglerFile& file);

/// Would `bind_in_file` succeed? Changes nothing.
core::Result<void> check_bindable(Context& context, const WranglerFile& file,
                                  std::string_view binding);

/// Adds the binding or replaces its id, in the environment of `-e`. True if the file changed.
core::Result<bool> bind_in_file(Context& context, const WranglerFile& file,
                                std::string_view binding, std::string_view id);

/// The id that a binding of this config carries: Cloudflare's once there is one.
std::string binding_id(const core::Config& config);

/// As short as possible: relative to the working folder if it lies below it.
std::string display_path(const std::filesystem::path& path);

}  // namespace hyperdrive::cli
