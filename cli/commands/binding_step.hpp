// The end of `create`: the snippet, and the binding in the wrangler file if that is wanted.
#pragma once

#include <optional>
#include <string>

#include "cli/context.hpp"
#include "cli/wrangler_file.hpp"
#include "core/base/error.hpp"
#include "core/config/config.hpp"

namespace hyperdrive::cli {

/// What `--binding` and `--update-config` ask for, checked against the wrangler file here before
/// anything is stored: a broken file stops the command.
struct BindingStep {
  std::optional<WranglerFile> file;
  std::string name;          ///< valid, as the file and the snippet will say it
  bool named = false;        ///< by `--binding`
  std::optional<bool> edit;  ///< unset: ask, if there is somebody
};

core::Result<BindingStep> prepare_binding(Context& context);

/// Prints the snippet; writes the file, asking first where wrangler asks.
core::Result<void> finish_binding(Context& context, const BindingStep& step,
                                  const core::Config& config);

/// A name made valid; says so if that changed it.
std::string valid_binding(Context& context, const std::string& wanted);

}  // namespace hyperdrive::cli
