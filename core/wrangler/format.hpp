// The two syntaxes of a wrangler file. wrangler reads `.json` exactly as `.jsonc` (comments and
// trailing commas allowed), so there is one JSON format here. Plain values; any thread.
#pragma once

#include <filesystem>

namespace hyperdrive::core::wrangler {

enum class Format { kToml, kJsonc };

/// By the end of the name, as wrangler does; anything that is not toml is read as JSONC.
inline Format format_of(const std::filesystem::path& file) {
  const std::string name = file.filename().string();
  return name.ends_with("toml") ? Format::kToml : Format::kJsonc;
}

}  // namespace hyperdrive::core::wrangler
