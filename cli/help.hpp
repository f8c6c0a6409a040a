// Help texts in wrangler's shape, and the same as Markdown for docs and man pages. Pure.
#pragma once

#include <string>
#include <string_view>

#include "cli/command.hpp"

namespace hyperdrive::cli {

/// `hyperdrive --help`, or `hyperdrive cache --help` for a group. `width` 0: lines are not folded.
std::string overview(std::string_view group, std::size_t width);

std::string command_help(const Command& command, std::size_t width);

/// docs/commands.md: every command with its flags and examples.
std::string commands_markdown();

}  // namespace hyperdrive::cli
