// The table of all settings beyond wrangler's flags. Command-line flags, `get --all`, `apply`
// files, stored JSON, validation and docs/configuration.md come from this one table.
//
// A value travels as text: `set` parses and range-checks it, `get` prints what `set` would read.
// A repeatable setting (cache rules) has one element a line in that text form; on the command line
// each flag occurrence is one line.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/config/config.hpp"

namespace hyperdrive::core {

enum class SettingKind {
  kInteger,
  kNumber,
  kBoolean,  ///< `--flag` / `--no-flag`
  kDuration,
  kSize,
  kChoice,  ///< one of `range`, separated by '|'
  kText,
  kPath,
  kList,       ///< repeatable flag
  kSecretUrl,  ///< a URL whose password is kept sealed and never printed
};

struct Setting {
  std::string_view key;    ///< JSON and TOML key: `idle_timeout`
  std::string_view flag;   ///< without dashes: `idle-timeout`
  std::string_view value;  ///< placeholder in help: `DURATION`; empty for a boolean
  SettingKind kind;
  std::string_view range;  ///< in words: `1-65535`, `none|writes|replication`
  std::string_view help;   ///< one sentence
  bool live;               ///< a running proxy takes a change at once; else at the next restart
  Result<void> (*set)(LocalSettings& settings, std::string_view text);
  std::string (*get)(const LocalSettings& settings);
  /// Whether `get` would print the same for both, without printing.
  bool (*same)(const LocalSettings& one, const LocalSettings& other);
};

std::span<const Setting> settings();
/// By key or flag name (`idle_timeout`, `idle-timeout`, `idleTimeout`); nullptr: none such.
const Setting* find_setting(std::string_view name);
/// The printed default.
std::string default_text(const Setting& setting);
/// The table of docs/configuration.md (Markdown), between its markers.
std::string settings_markdown();

}  // namespace hyperdrive::core
