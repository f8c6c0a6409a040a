// What a command is: its words, its flags, its help, and the function that does it.
//
// Plain tables, written once in the command's own file (cli/commands/) and listed in
// command_tree.cpp; parsing, help, completion and the man pages are made from them. A command reads
// its Arguments, works through the Context, prints through its Output, and returns an exit code or
// an Error; only run() turns an Error into text.
#pragma once

#include <span>
#include <string_view>

#include "core/base/error.hpp"

namespace hyperdrive::cli {

class Context;

enum class FlagKind {
  kBoolean,  ///< `--flag`, `--no-flag`, `--flag=false`, `--flag false`
  kText,
  kNumber,  ///< as kText; the command checks its range
  kList,    ///< may be given more than once
};

/// What the shell offers after a flag or in the place of a positional.
enum class Offer { kNothing, kConfigs, kBindings, kTemplates, kFiles, kFolders, kChoices };

struct Flag {
  std::string_view name;          ///< without dashes; its camelCase spelling is accepted too
  std::string_view aliases = {};  ///< further names, separated by blanks; one letter: `-x`
  FlagKind kind = FlagKind::kText;
  std::string_view help = {};
  std::string_view group = {};    ///< heading in the help; empty: OPTIONS
  std::string_view choices = {};  ///< shown and offered, separated by '|'
  Offer offer = Offer::kNothing;
  bool secret = false;  ///< its value is wiped from the process title
  bool hidden = false;  ///< accepted, not shown
  bool on = false;      ///< a boolean that is on unless said otherwise: shown as `--no-name`
};

struct Positional {
  std::string_view name;
  std::string_view help;
  bool required = true;
  bool many = false;  ///< the last one may repeat
  Offer offer = Offer::kNothing;
};

struct Example {
  std::string_view line;
  std::string_view says;
};

/// The exit code, or why not.
using Outcome = core::Result<int>;

struct Command {
  std::string_view path;     ///< `create`, `cache purge`
  std::string_view summary;  ///< one line
  std::string_view details = {};
  std::span<const Positional> positionals = {};
  std::span<const Flag> flags = {};
  std::span<const Example> examples = {};
  Outcome (*run)(Context&) = nullptr;
  bool origin = false;         ///< also takes origin_flags()
  bool settings = false;       ///< also takes a flag for each of core::settings()
  bool takes_command = false;  ///< `-- command…`
  bool hidden = false;
};

}  // namespace hyperdrive::cli
