// The program's version, from CMake's project().
#pragma once

#include <string_view>

namespace hyperdrive::cli {

inline constexpr std::string_view kVersion = HYPERDRIVE_VERSION;

}  // namespace hyperdrive::cli
