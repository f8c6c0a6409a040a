// Every command's table, each defined in its own file here and listed in command_tree.cpp.
#pragma once

#include "cli/command.hpp"

namespace hyperdrive::cli {

extern const Command kCreate;
extern const Command kList;
extern const Command kGet;
extern const Command kUpdate;
extern const Command kDelete;
extern const Command kUrl;
extern const Command kEnv;

}  // namespace hyperdrive::cli
