#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "core/process/proxy.hpp"

namespace hyperdrive::core {
namespace {

constexpr std::string_view kName = "hyperdrive-proxy";

bool runnable(const std::string& path) {
  std::error_code ignored;
  return ::access(path.c_str(), X_OK) == 0 && !std::filesystem::is_directory(path, ignored);
}

std::string beside_this_program() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "" : (self.parent_path() / kName).string();
}

std::string in_path() {
  const char* path = std::getenv("PATH");
  std::string_view rest = path ? path : "";
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const std::string_view folder = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (folder.empty() || folder[0] != '/') continue;
    if (std::string candidate = fmt::format("{}/{}", folder, kName); runnable(candidate))
      return candidate;
  }
  return "";
}

}  // namespace

Result<std::string> proxy_program() {
  constexpr const char* kHint =
      "Install hyperdrive-proxy beside hyperdrive, or name it in HYPERDRIVE_PROXY.";
  if (const char* named = std::getenv("HYPERDRIVE_PROXY"); named && *named) {
    // The proxy starts in another working directory.
    std::error_code error;
    const std::string path = std::filesystem::absolute(named, error).string();
    if (runnable(path)) return path;
    return fail(fmt::format("HYPERDRIVE_PROXY names {}, which is not a program.", named), kHint);
  }
  if (std::string path = beside_this_program(); runnable(path)) return path;
  if (std::string path = in_path(); !path.empty()) return path;
  return fail("The program hyperdrive-proxy was not found.", kHint);
}

}  // namespace hyperdrive::core
