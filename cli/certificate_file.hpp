// Certificates given as files.
#pragma once

#include <string>

#include "cli/context.hpp"
#include "core/base/error.hpp"

namespace hyperdrive::cli {

/// The id of the CA certificate with this file's content, stored now unless it is already.
core::Result<std::string> ca_certificate_of_file(Context& context, const std::string& path);

}  // namespace hyperdrive::cli
