// The text with which wrangler tells how to bind a config (createdResourceConfig). Pure.
#pragma once

#include <string>
#include <string_view>

#include "core/wrangler/format.hpp"

namespace hyperdrive::core::wrangler {

/// `To access your new Hyperdrive Config in your Worker, add the following snippet to your
/// configuration file[ in the "ENV" environment]:` without a newline.
std::string snippet_heading(std::string_view environment);

/// The stanza itself, JSON of two-space indentation or TOML; each as wrangler prints it, ending
/// without (JSON) or with (TOML) a newline of its own, to which the printer adds one.
std::string snippet(Format format, std::string_view binding, std::string_view id);

}  // namespace hyperdrive::core::wrangler
