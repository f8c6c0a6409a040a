#include "proxy/server/log_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>
#include <utility>

namespace hyperdrive::proxy::server {

LogFile::LogFile(std::string path, std::size_t most) : path_(std::move(path)), most_(most) {
  open();
}

void LogFile::reopen() {
  const std::lock_guard lock(mutex_);
  if (open()) adopt_standard_error();
}

bool LogFile::open() {
  core::Descriptor file(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) return false;  // the old one serves on
  file_ = std::move(file);
  size_ = static_cast<std::size_t>(status.st_size);
  return true;
}

/// Only a regular file is moved: the path may be /dev/stderr or a pipe of somebody's.
/// During a restart two processes write to one log: who comes second finds a new file there.
void LogFile::make_room() {
  struct stat named {};
  struct stat ours {};
  const bool is_ours = ::stat(path_.c_str(), &named) == 0 && ::fstat(file_.get(), &ours) == 0 &&
                       S_ISREG(ours.st_mode) && named.st_ino == ours.st_ino &&
                       named.st_dev == ours.st_dev;
  if (is_ours) ::rename(path_.c_str(), (path_ + ".1").c_str());
  if (open()) return adopt_standard_error();
  size_ = 0;  // not again with every line
}

/// Only where it went to a file: on a terminal or a pipe it is somebody's.
void LogFile::adopt_standard_error() {
  struct stat status {};
  if (::fstat(STDERR_FILENO, &status) != 0 || !S_ISREG(status.st_mode)) return;
  ::dup2(file_.get(), STDOUT_FILENO);
  ::dup2(file_.get(), STDERR_FILENO);
}

void LogFile::sink_it_(const spdlog::details::log_msg& message) {
  spdlog::memory_buf_t line;
  formatter_->format(message, line);
  if (size_ + line.size() > most_) make_room();
  if (dropped_ > 0) {
    const std::string lost = fmt::format("({} lines could not be written)\n", dropped_);
    if (core::write_all(file_.get(), lost) != 0) {
      ++dropped_;
      return;
    }
    dropped_ = 0;
    size_ += lost.size();
  }
  if (core::write_all(file_.get(), std::string_view(line.data(), line.size())) != 0) ++dropped_;
  size_ += line.size();
}

}  // namespace hyperdrive::proxy::server
