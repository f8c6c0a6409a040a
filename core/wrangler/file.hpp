// Reading and replacing a wrangler file (or a .env) on disk. Does I/O; any thread, any process.
//
// A replacement is atomic: temporary file beside the target, fsync, rename, fsync of the folder.
// Mode and owner stay; a symbolic link stays and its target is replaced; a file with hard links is
// overwritten in place, its old text kept beside it meanwhile. Writers of this program
// take turns (flock on the file itself, so nothing is left behind); if another program changes the
// file between our reading and our rename, the edit is made anew on what it wrote.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "core/base/error.hpp"

namespace hyperdrive::core::wrangler {

/// The whole file. UTF-16 and UTF-32 are refused; a UTF-8 BOM is left in the text.
Result<std::string> read_file(const std::filesystem::path& file);

/// From the present text to the new one. May be called more than once.
using TextEdit = std::function<Result<std::string>(std::string_view text)>;

/// Replaces the file's text by what `edit` makes of it; true if the file changed. The file stays
/// untouched when `edit` fails or returns the same text.
Result<bool> edit_file(const std::filesystem::path& file, const TextEdit& edit);

/// Likewise, but a missing file is an empty text, and is created with `mode` if the edit gives any.
Result<bool> edit_or_create_file(const std::filesystem::path& file, unsigned mode,
                                 const TextEdit& edit);

}  // namespace hyperdrive::core::wrangler
