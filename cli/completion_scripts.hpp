// The files of completions/, built in (CMakeLists.txt makes completion_scripts.cpp of them).
#pragma once

#include <string_view>

namespace hyperdrive::cli {

extern const std::string_view kBashCompletion;
extern const std::string_view kZshCompletion;
extern const std::string_view kFishCompletion;

}  // namespace hyperdrive::cli
