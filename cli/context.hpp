// What a running command has at hand: its arguments, its output, the state folder, the registry,
// the wrangler file here. Everything is opened when first asked for, so that a command pays only
// for what it uses. One Context a process; one thread.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "cli/arguments.hpp"
#include "cli/output/output.hpp"
#include "core/base/error.hpp"
#include "core/base/home.hpp"
#include "core/registry/registry.hpp"

namespace hyperdrive::cli {

struct Command;

class Context {
 public:
  Context(const Command& command, Arguments arguments, Output& output);
  ~Context();

  const Command& command() const { return command_; }
  const Arguments& args() const { return arguments_; }
  Output& out() { return output_; }

  core::Result<core::Home> home() const;
  /// Opened (and created) at the first call; the same one afterwards.
  core::Result<core::Registry*> registry();

  /// `-e`, else CLOUDFLARE_ENV; empty: the top level of the wrangler file.
  std::string environment() const;
  /// `-c`, if given.
  std::optional<std::filesystem::path> config_file() const;
  /// Whether to ask: a terminal on both sides, no `--yes`, no `--json`, not in CI.
  bool may_ask() const;

 private:
  const Command& command_;
  Arguments arguments_;
  Output& output_;
  std::optional<core::Registry> registry_;
};

/// The value of an environment variable, if set and not empty.
std::optional<std::string> environment_variable(const char* name);

}  // namespace hyperdrive::cli
