#include "core/base/home.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "core/base/file.hpp"

namespace hyperdrive::core {
namespace fs = std::filesystem;

namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string home_directory() {
  if (std::string home = environment("HOME"); !home.empty()) return home;
  const passwd* user = ::getpwuid(::geteuid());
  return user && user->pw_dir ? user->pw_dir : "";
}

/// State files must not move with the working directory.
fs::path settled(const fs::path& path) {
  std::error_code ignored;
  fs::path result = fs::absolute(path, ignored).lexically_normal();
  return ignored ? path : (result.has_filename() ? result : result.parent_path());
}

}  // namespace

Result<Home> locate_home() {
  if (std::string folder = environment("HYPERDRIVE_HOME"); !folder.empty())
    return Home{settled(folder)};
  // The XDG base directory specification: a relative path there is to be ignored.
  if (std::string data = environment("XDG_DATA_HOME"); !data.empty() && data[0] == '/')
    return Home{settled(fs::path(data) / "hyperdrive")};
  const std::string home = home_directory();
  if (home.empty() || home[0] != '/')
    return fail("There is no folder to keep the registry in: HOME is not set.",
                "Set HYPERDRIVE_HOME to a folder of your own.");
  return Home{settled(fs::path(home) / ".local/share/hyperdrive")};
}

Result<void> ensure_folder(const fs::path& folder) {
  struct stat status;
  if (::stat(folder.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) return {};
    return fail(fmt::format("{} is not a folder.", folder.string()),
                "Move it away, or set HYPERDRIVE_HOME to another folder.");
  }
  if (folder.has_parent_path() && folder.parent_path() != folder)
    if (auto parent = ensure_folder(folder.parent_path()); !parent) return parent;
  if (::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return fail(fmt::format("The folder {} cannot be made: {}.", folder.string(), errno_text(errno)),
              "Give yourself write access there, or set HYPERDRIVE_HOME to another folder.");
}

}  // namespace hyperdrive::core
