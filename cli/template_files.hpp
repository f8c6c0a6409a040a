// The Worker starters of templates/: where they lie, which there are, and copying one.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"

namespace hyperdrive::cli {

struct Template {
  std::string name;
  std::string says;  ///< what its README says first
};

/// $HYPERDRIVE_TEMPLATES, ../share/hyperdrive/templates from this program, or the source tree's.
core::Result<std::filesystem::path> templates_folder();

/// Those that are Workers (a folder with a wrangler file), by name.
core::Result<std::vector<Template>> list_templates();

/// Copies one into `target`, which is made and gives the Worker its name; an existing file of the
/// same name is an error before anything is written. Returns the files written, relative to
/// `target`.
core::Result<std::vector<std::string>> copy_template(std::string_view name,
                                                     const std::filesystem::path& target);

}  // namespace hyperdrive::cli
