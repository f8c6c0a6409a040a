// Where a secret may come from besides a flag: an environment variable, standard input, a file.
// Nothing read here is echoed, not even in an error.
#pragma once

#include <optional>

#include "cli/context.hpp"
#include "core/base/error.hpp"
#include "core/base/secret.hpp"

namespace hyperdrive::cli {

/// --connection-string TEXT | -, --connection-string-env NAME; nothing given: nullopt.
core::Result<std::optional<core::Secret>> connection_string_input(Context& context);

/// --origin-password TEXT, --origin-password-file FILE | -; nothing given: nullopt.
core::Result<std::optional<core::Secret>> password_input(Context& context);

}  // namespace hyperdrive::cli
