#include "core/base/last_word.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "core/base/file.hpp"

namespace hyperdrive::core {
namespace {
constexpr std::string_view kEnded = "ended ";
}

void say_last_word(int lock_fd) {
  if (lock_fd < 0 || ::ftruncate(lock_fd, 0) != 0 || ::lseek(lock_fd, 0, SEEK_SET) != 0) return;
  write_all(lock_fd, fmt::format("{}{}\n", kEnded, ::getpid()));
}

void forget_last_word(int lock_fd) { [[maybe_unused]] const int ignored = ::ftruncate(lock_fd, 0); }

std::optional<pid_t> last_word(const std::string& lock_path) {
  const auto text = read_file(lock_path, 64);
  if (!text || !text->starts_with(kEnded) || !text->ends_with('\n')) return std::nullopt;
  const long pid = std::strtol(text->c_str() + kEnded.size(), nullptr, 10);
  return pid > 0 ? std::optional<pid_t>(static_cast<pid_t>(pid)) : std::nullopt;
}

}  // namespace hyperdrive::core
