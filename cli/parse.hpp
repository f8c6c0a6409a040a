// From argv to a command and its Arguments, by the rules of wrangler's parser (yargs).
//
// Those rules are the interface here: flags before and after the command, camelCase and kebab-case
// spellings, `--no-flag`, `--flag=false`, `--flag false`, `-e=name`, negative numbers as values,
// the last of two booleans, an error for a text flag given twice. docs/decisions/030 says why this
// is not CLI11. Pure; no I/O.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/command.hpp"
#include "core/base/error.hpp"

namespace hyperdrive::cli {

struct Parsed {
  const Command* command = nullptr;  ///< nullptr: only help or the version was asked for
  std::string group;                 ///< without a command: help for this group; empty: for all
  bool help = false;
  bool version = false;
  Arguments arguments;
};

/// `words`: argv without the program's name. Errors are wrong usage (exit code 64).
core::Result<Parsed> parse(std::span<const std::string> words);

/// Global flags as far as they can be read from a line that does not parse, so that its error is
/// printed as asked for (`--json`).
bool wants_json(std::span<const std::string> words);

/// Positions in `words` of text that must not stay in the process title, as [begin, length) of a
/// word. Works on lines that do not parse, too.
struct SecretSpan {
  std::size_t word;
  std::size_t offset;
};
std::vector<SecretSpan> secret_spans(std::span<const std::string> words);

/// `originHost` → `origin-host`; other names as they are.
std::string kebab_case(std::string_view name);

}  // namespace hyperdrive::cli
