// The proxy's log as a file that cannot fill the disk and survives one that is full.
//
// A spdlog sink, used by every thread under its own mutex (spdlog's base_sink). At kMaxLog bytes
// the file becomes PATH.1 and a new one begins, so that there are never more than two. Lines that
// cannot be written are dropped; the next that can be is preceded by how many those were. reopen()
// follows a rename by others (logrotate, with SIGHUP).
//
// What the program itself says on standard error (a crash, the C library) goes to the file that was
// the log when the process started; adopt_standard_error() moves that along.
#pragma once

#include <spdlog/sinks/base_sink.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>

#include "core/base/file.hpp"

namespace hyperdrive::proxy::server {

class LogFile final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  static constexpr std::size_t kMaxLog = 8u << 20;

  explicit LogFile(std::string path, std::size_t most = kMaxLog);
  /// Opens the path again; what is there is appended to.
  void reopen();
  bool is_open() const { return static_cast<bool>(file_); }  ///< before any thread writes

 private:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}  // nothing is kept back

  bool open();
  void make_room();
  void adopt_standard_error();

  const std::string path_;
  const std::size_t most_;
  core::Descriptor file_;
  std::size_t size_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace hyperdrive::proxy::server
