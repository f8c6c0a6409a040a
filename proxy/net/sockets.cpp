#include "proxy/net/sockets.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace hyperdrive::proxy::net {
namespace {

constexpr int kBacklog = 4096;
constexpr int kMaxDescriptors = 16;
constexpr std::size_t kMaxPayload = 4096;

// A dead peer is noticed after 30 + 3 * 10 s of silence; who has sent it something meanwhile asks
// peer_has_vanished(), for then the kernel repeats that for a quarter of an hour.
constexpr int kKeepAliveIdle = 30;
constexpr int kKeepAliveInterval = 10;
constexpr int kKeepAliveProbes = 3;

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

tl::unexpected<core::Error> failed(const std::string& what) {
  return core::fail(what + ": " + std::strerror(errno));
}

void set(int fd, int level, int name, int value) {
  // Fails on sockets of other families only, which do not need it.
  (void)::setsockopt(fd, level, name, &value, sizeof value);
}

core::Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return core::fail("The socket path " + path + " is longer than 107 bytes",
                      "Use a shorter folder.");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

}  // namespace

void set_stream_options(int fd) {
  set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepAliveIdle);
  set(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveInterval);
  set(fd, IPPROTO_TCP, TCP_KEEPCNT, kKeepAliveProbes);
}

bool peer_has_vanished(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
  constexpr unsigned kRepeats = 6;
  const std::chrono::milliseconds silent{info.tcpi_last_ack_recv};
  // A peer that answers, if only that it cannot take more, does so between two repeats.
  const std::chrono::microseconds between{info.tcpi_rto};
  return info.tcpi_unacked > 0 && info.tcpi_retransmits >= kRepeats && silent >= kPeerPatience &&
         silent > between + between / 4;
}

core::Result<int> open_listener(const std::string& address, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    return core::fail("Cannot listen on " + address + ": " + ::gai_strerror(error),
                      "Give a numeric address such as 127.0.0.1 or ::1.");
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  const std::string where = address + " port " + std::to_string(port);
  Socket socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.get() < 0) return failed("Cannot open a socket for " + where);
  set(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (found->ai_family == AF_INET6) set(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (::bind(socket.get(), found->ai_addr, found->ai_addrlen) != 0) {
    const bool taken = errno == EADDRINUSE;
    auto failure = failed("Cannot listen on " + where);
    if (taken) failure.value().hint = "Another program uses this port: stop it or choose another.";
    return failure;
  }
  if (::listen(socket.get(), kBacklog) != 0) return failed("Cannot listen on " + where);
  return socket.release();
}

core::Result<std::vector<int>> open_loopback_listeners(std::uint16_t port) {
  // With port 0 the one chosen for IPv4 may be taken for IPv6: then both are chosen anew.
  for (int attempt = 0;; ++attempt) {
    auto v4 = open_listener("127.0.0.1", port);
    if (!v4) return tl::unexpected(v4.error());
    Socket first(*v4);
    const auto chosen = listening_port(first.get());
    if (!chosen) return tl::unexpected(chosen.error());
    auto v6 = open_listener("::1", *chosen);
    if (v6) return std::vector<int>{first.release(), *v6};
    const bool no_ipv6 = errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT;
    if (no_ipv6) return std::vector<int>{first.release()};
    if (port != 0 || attempt == 10) return tl::unexpected(v6.error());
  }
}

core::Result<std::uint16_t> listening_port(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return failed("Cannot read the port of a listening socket");
  }
  if (address.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
}

std::string peer_address(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  char host[NI_MAXHOST];
  const auto* peer = reinterpret_cast<const sockaddr*>(&address);
  const bool known = ::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
                     address.ss_family != AF_UNIX &&
                     ::getnameinfo(peer, size, host, sizeof host, nullptr, 0, NI_NUMERICHOST) == 0;
  return known ? host : std::string();
}

core::Result<int> open_unix_listener(const std::string& path) {
  const auto address = unix_address(path);
  if (!address) return tl::unexpected(address.error());
  Socket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.get() < 0) return failed("Cannot open a socket for " + path);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failed("Cannot replace " + path);
  // The mode must be right before anybody can connect: bind makes the file with the socket's mode.
  if (::fchmod(socket.get(), S_IRUSR | S_IWUSR) != 0) return failed("Cannot protect " + path);
  const auto* generic = reinterpret_cast<const sockaddr*>(&*address);
  if (::bind(socket.get(), generic, sizeof *address) != 0)
    return failed("Cannot listen on " + path);
  if (::chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0) return failed("Cannot protect " + path);
  if (::listen(socket.get(), kBacklog) != 0) return failed("Cannot listen on " + path);
  return socket.release();
}

core::Result<int> connect_unix(const std::string& path) {
  const auto address = unix_address(path);
  if (!address) return tl::unexpected(address.error());
  Socket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return failed("Cannot open a socket for " + path);
  const auto* generic = reinterpret_cast<const sockaddr*>(&*address);
  if (::connect(socket.get(), generic, sizeof *address) != 0) {
    return failed("Cannot connect to " + path);
  }
  return socket.release();
}

core::Result<void> send_descriptors(int socket, std::span<const int> fds, Bytes payload) {
  if (fds.size() > kMaxDescriptors || payload.empty() || payload.size() > kMaxPayload) {
    return core::fail("A message takes 1 to 4096 bytes and at most 16 descriptors");
  }
  iovec data{const_cast<char*>(payload.data()), payload.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxDescriptors)> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  ssize_t sent;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return failed("Cannot pass descriptors");
  if (static_cast<std::size_t>(sent) != payload.size()) {
    return core::fail("Cannot pass descriptors: the message was cut short");
  }
  return {};
}

core::Result<Descriptors> receive_descriptors(int socket) {
  Descriptors received;
  received.payload.resize(kMaxPayload);
  iovec data{received.payload.data(), received.payload.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxDescriptors)> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size;
  do {
    size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size < 0) return failed("Cannot receive descriptors");
  received.payload.resize(static_cast<std::size_t>(size));
  for (cmsghdr* each = CMSG_FIRSTHDR(&message); each != nullptr;
       each = CMSG_NXTHDR(&message, each)) {
    if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (each->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    const std::size_t first = received.fds.size();
    received.fds.resize(first + count);
    std::memcpy(received.fds.data() + first, CMSG_DATA(each), count * sizeof(int));
  }
  if (size == 0 && received.fds.empty()) {
    return core::fail("Cannot receive descriptors: the other side closed the connection");
  }
  return received;
}

}  // namespace hyperdrive::proxy::net
