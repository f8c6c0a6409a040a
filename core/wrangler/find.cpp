#include "core/wrangler/find.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace hyperdrive::core::wrangler {
namespace {

namespace fs = std::filesystem;

constexpr std::array kNames = {"wrangler.json", "wrangler.jsonc", "wrangler.toml"};

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

bool is_searched(const fs::path& folder) {
  static constexpr std::array<std::string_view, 5> kLeftOut = {"node_modules", "dist", "build",
                                                               "target", "vendor"};
  const std::string name = folder.filename().string();
  return !name.starts_with('.') &&
         std::find(kLeftOut.begin(), kLeftOut.end(), name) == kLeftOut.end();
}

}  // namespace

Result<std::optional<fs::path>> find_config(const fs::path& cwd,
                                            const std::optional<fs::path>& explicit_file) {
  if (explicit_file) {
    const fs::path file = cwd / *explicit_file;
    if (is_file(file)) return file;
    return fail(fmt::format("There is no wrangler file {}.", file.string()),
                "Give --config the path of a wrangler.toml, wrangler.jsonc or wrangler.json.");
  }
  std::error_code error;
  const fs::path start = fs::absolute(cwd, error).lexically_normal();
  if (error) return fail(fmt::format("{}: {}", cwd.string(), error.message()));
  for (const char* name : kNames) {
    for (fs::path folder = start;; folder = folder.parent_path()) {
      if (is_file(folder / name)) return folder / name;
      if (folder == folder.parent_path()) break;
    }
  }
  return std::nullopt;
}

std::vector<fs::path> nearby_configs(const fs::path& folder, std::size_t limit) {
  std::vector<fs::path> found;
  std::vector<fs::path> folders{folder};
  for (std::size_t i = 0; i < folders.size(); ++i) {
    for (const char* name : kNames) {
      if (is_file(folders[i] / name)) found.push_back(folders[i] / name);
    }
    std::error_code error;
    for (fs::directory_iterator entry(folders[i], error), end; !error && entry != end;
         entry.increment(error)) {
      if (folders.size() >= limit) break;
      std::error_code ignored;
      if (entry->is_directory(ignored) && !entry->is_symlink(ignored) &&
          is_searched(entry->path())) {
        folders.push_back(entry->path());
      }
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace hyperdrive::core::wrangler
