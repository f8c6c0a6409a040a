// Questions on a terminal. Call only when Context::may_ask() says so. Ctrl-C ends the program with
// 130 and leaves the terminal as it was (run.cpp); Ctrl-D takes the default.
#pragma once

#include <string>
#include <string_view>

#include "cli/output/output.hpp"
#include "core/base/error.hpp"
#include "core/base/secret.hpp"

namespace hyperdrive::cli {

/// `? Question › (Y/n)`.
core::Result<bool> ask_yes_no(Output& out, std::string_view question, bool fallback);

/// `? Question › (fallback)`.
core::Result<std::string> ask_text(Output& out, std::string_view question,
                                   std::string_view fallback);

/// What is typed is not shown.
core::Result<core::Secret> ask_secret(Output& out, std::string_view question);

}  // namespace hyperdrive::cli
