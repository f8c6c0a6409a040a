// Where an installation keeps its state: $HYPERDRIVE_HOME, else $XDG_DATA_HOME/hyperdrive, else
// ~/.local/share/hyperdrive.
//
//   registry.db   configs and certificates (SQLite)        key   sealing key of the passwords
//   run/<id>.*    lock, state and sockets of a proxy       log/<id>.log   its log
//
// Folders are 0700, files 0600. `locate` touches nothing; `ensure` creates what is missing.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "core/base/error.hpp"

namespace hyperdrive::core {

struct Home {
  std::filesystem::path folder;

  std::filesystem::path registry() const { return folder / "registry.db"; }
  std::filesystem::path key() const { return folder / "key"; }
  std::filesystem::path run() const { return folder / "run"; }
  std::filesystem::path log() const { return folder / "log"; }
};

/// Reads the environment. An error when neither variable nor a home directory is known.
Result<Home> locate_home();

/// Creates `folder` (parents too) with mode 0700; an existing one is left as it is.
/// Errors name the folder and the reason (not writable, not a folder, disk full).
Result<void> ensure_folder(const std::filesystem::path& folder);

}  // namespace hyperdrive::core
