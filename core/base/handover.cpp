#include "core/base/handover.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace hyperdrive::core {
namespace {

// The kernel takes 253 (SCM_MAX_FD); a proxy has one listener an address and worker.
constexpr std::size_t kMaxDescriptors = 128;
constexpr int kPatienceMs = 5000;

bool wait_readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  int ready;
  do ready = ::poll(&entry, 1, kPatienceMs);
  while (ready < 0 && errno == EINTR);
  return ready > 0;
}

Result<Descriptor> connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(fmt::format("The socket path {} is too long.", path));
  std::memcpy(address.sun_path, path.data(), path.size());
  Descriptor connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connection) return fail(fmt::format("No socket: {}.", errno_text(errno)));
  if (::connect(connection.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return fail(
        fmt::format("The running proxy cannot be reached at {}: {}.", path, errno_text(errno)));
  return connection;
}

}  // namespace

Result<void> send_listeners(int connection, std::span<const int> listeners, int lock_fd) {
  if (listeners.empty() || listeners.size() + 1 > kMaxDescriptors)
    return fail(fmt::format("{} listening sockets cannot be handed over.", listeners.size()));
  std::vector<int> descriptors(listeners.begin(), listeners.end());
  descriptors.push_back(lock_fd);
  const std::size_t bytes = descriptors.size() * sizeof(int);

  char tag = kHandoverListeners;
  iovec part{&tag, 1};
  std::vector<char> control(CMSG_SPACE(bytes));
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(bytes);
  std::memcpy(CMSG_DATA(header), descriptors.data(), bytes);

  ssize_t sent;
  do sent = ::sendmsg(connection, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent == 1) return {};
  return fail(fmt::format("The listening sockets could not be sent: {}.", errno_text(errno)));
}

Result<Handover> receive_listeners(const std::string& handover_socket) {
  auto connection = connect_to(handover_socket);
  if (!connection) return tl::unexpected(connection.error());
  if (!wait_readable(connection->get()))
    return fail("The running proxy did not hand over its listening socket in time.",
                "Try again; or stop it and start it anew.");

  char tag = 0;
  iovec part{&tag, 1};
  std::vector<char> control(CMSG_SPACE(kMaxDescriptors * sizeof(int)));
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got;
  do got = ::recvmsg(connection->get(), &message, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);

  Handover handover;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); got == 1 && header;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      handover.listeners.emplace_back(fd);
    }
  }
  if (got != 1 || tag != kHandoverListeners || handover.listeners.size() < 2)
    return fail("The running proxy sent no listening socket.", "Stop it and start it anew.");
  handover.lock = std::move(handover.listeners.back());
  handover.listeners.pop_back();
  handover.connection = std::move(*connection);
  return handover;
}

void Predecessor::announce_ready() {
  const std::lock_guard lock(mutex_);
  if (!connection_) return;
  const char tag = kHandoverReady;
  ssize_t sent;
  do sent = ::send(connection_.get(), &tag, 1, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  announced_ = sent == 1;
}

void Predecessor::cancel(std::string_view request) {
  const std::lock_guard lock(mutex_);
  if (!announced_ || request.size() > 0xffff) return;
  std::string message;
  message += kHandoverCancel;
  message += static_cast<char>(request.size() >> 8);
  message += static_cast<char>(request.size() & 0xff);
  message += request;
  const auto sent =
      ::send(connection_.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  // Gone; or a message was cut, behind which nothing would be understood.
  if (sent != static_cast<ssize_t>(message.size()) && !(sent < 0 && errno == EAGAIN)) {
    announced_ = false;
  }
}

std::optional<std::string> PassedCancels::next() {
  constexpr std::size_t kHeader = 3;
  if (bytes_.size() < kHeader || bytes_[0] != kHandoverCancel) return std::nullopt;
  const std::size_t length = static_cast<std::size_t>(static_cast<unsigned char>(bytes_[1])) << 8 |
                             static_cast<unsigned char>(bytes_[2]);
  if (bytes_.size() < kHeader + length) return std::nullopt;
  std::string request = bytes_.substr(kHeader, length);
  bytes_.erase(0, kHeader + length);
  return request;
}

}  // namespace hyperdrive::core
