// All commands, in the order in which `--help` lists them.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "cli/command.hpp"

namespace hyperdrive::cli {

/// The commands that can be run (`cache purge`, not `cache`).
std::span<const Command* const> commands();

/// By full path; nullptr: none such.
const Command* find_command(std::string_view path);

/// Commands below a word: `cache` → `cache purge`, `cache explain`. Empty: it is no group.
std::vector<const Command*> commands_below(std::string_view group);

/// What a group of commands is for (`cache`, `cert`); empty for a word that is no group.
std::string_view group_summary(std::string_view group);

/// Flags that every command takes.
std::span<const Flag> global_flags();

/// The flags of a command: its own, then those of the settings table, then the global ones.
std::vector<Flag> all_flags(const Command& command);

}  // namespace hyperdrive::cli
