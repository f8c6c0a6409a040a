// Small files whose content must not be half-written, and descriptors that close themselves.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/error.hpp"

namespace hyperdrive::core {

/// Owns one file descriptor; -1 is none.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~Descriptor() { reset(); }

  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// errno as words ("No space left on device").
std::string errno_text(int error);

/// The whole file; an error says why it cannot be read. `limit` bounds what is accepted (bytes).
Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit = 64u << 20);

/// Temporary file beside `path` (mode 0600), fsync, rename, fsync of the folder: after a crash
/// there is either the old content or the new.
Result<void> write_file_atomically(const std::filesystem::path& path, std::string_view content);

/// Writes all of `data` to `fd`, over short writes and EINTR; 0 or errno.
int write_all(int fd, std::string_view data);

/// Opens /dev/null on 0, 1 and 2 where they are closed (`hyperdrive start <&-`), so that no file or
/// pipe of ours gets such a number.
void reserve_standard_descriptors();

}  // namespace hyperdrive::core
