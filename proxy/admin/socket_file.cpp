#include "proxy/admin/socket_file.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace hyperdrive::proxy::admin {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

int unix_socket() { return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

tl::unexpected<core::Error> failed(const std::string& path, const char* what,
                                   std::string hint = {}) {
  return core::fail(fmt::format("The admin socket {} cannot be opened: {}.", path, what),
                    std::move(hint));
}

/// Removes the file if it is a socket that nobody listens on. True when the path is free now.
core::Result<void> free_path(const std::string& path, const sockaddr_un& address) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return {};
  if (!S_ISSOCK(info.st_mode)) {
    return failed(path, "a file that is not a socket is in its place", "Move that file away.");
  }
  const Descriptor probe(unix_socket());
  const int connected =
      connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  // EAGAIN: somebody listens, with a full queue.
  if (connected == 0 || errno == EAGAIN || errno == EINPROGRESS) {
    return failed(path, "another proxy is listening on it", "Stop that proxy first.");
  }
  if (errno != ECONNREFUSED) return failed(path, std::strerror(errno));
  if (unlink(path.c_str()) != 0) return failed(path, std::strerror(errno));
  return {};
}

}  // namespace

core::Result<int> listen_on_socket_file(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return failed(path, "its path is longer than 107 bytes", "Choose a shorter HYPERDRIVE_HOME.");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (auto freed = free_path(path, address); !freed) return tl::unexpected(freed.error());

  Descriptor listener(unix_socket());
  if (listener.get() < 0) return failed(path, std::strerror(errno));
  // The mode of the socket before bind is what the file gets: at no moment can others open it.
  if (fchmod(listener.get(), S_IRUSR | S_IWUSR) != 0 ||
      bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return failed(path, std::strerror(errno));
  }
  constexpr int kBacklog = 64;
  if (chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0 || listen(listener.get(), kBacklog) != 0) {
    const int error = errno;
    unlink(path.c_str());
    return failed(path, std::strerror(error));
  }
  return listener.release();
}

}  // namespace hyperdrive::proxy::admin
