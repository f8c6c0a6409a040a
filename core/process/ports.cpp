#include "core/process/ports.hpp"

#include <arpa/inet.h>
#include <dirent.h>
#include <fmt/format.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string_view>
#include <vector>

#include "core/base/file.hpp"

namespace hyperdrive::core {
namespace {

bool can_bind(int family, const sockaddr* address, socklen_t length) {
  Descriptor socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // No such address family here: nobody can hold the port either.
  if (!socket) return true;
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return ::bind(socket.get(), address, length) == 0 || errno == EADDRNOTAVAIL;
}

struct Listener {
  std::uint16_t port;
  unsigned long inode;
};

/// The listening sockets of one table. proc(5): columns sl, local_address, rem_address, st, …,
/// inode (the tenth); state 0A is LISTEN.
void collect_listeners(const char* table, std::vector<Listener>& listeners) {
  const auto text = read_file(table);
  if (!text) return;
  std::size_t begin = text->find('\n');
  while (begin != std::string::npos && begin + 1 < text->size()) {
    const std::size_t end = std::min(text->find('\n', begin + 1), text->size());
    const std::string line = text->substr(begin + 1, end - begin - 1);
    begin = end;
    unsigned local = 0;
    unsigned state = 0;
    unsigned long inode = 0;
    if (std::sscanf(line.c_str(),
                    " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*s %*s %lu", &local,
                    &state, &inode) == 3 &&
        state == 0x0a)
      listeners.push_back({static_cast<std::uint16_t>(local), inode});
  }
}

/// One family's listening sockets, asked of the kernel by netlink (sock_diag(7)), which leaves out
/// the established ones: /proc/net/tcp walks through them all. False: this kernel does not answer.
bool ask_kernel(int family, std::vector<Listener>& listeners) {
  Descriptor socket(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!socket) return false;
  struct {
    nlmsghdr header;
    inet_diag_req_v2 body;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.sdiag_family = static_cast<__u8>(family);
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_states = 1u << TCP_LISTEN;
  if (::send(socket.get(), &request, sizeof request, 0) != sizeof request) return false;
  alignas(nlmsghdr) char buffer[32768];
  for (;;) {
    const ssize_t got = ::recv(socket.get(), buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    auto left = static_cast<unsigned>(got);
    for (auto* at = reinterpret_cast<nlmsghdr*>(buffer); NLMSG_OK(at, left);
         at = NLMSG_NEXT(at, left)) {
      if (at->nlmsg_type == NLMSG_DONE) return true;
      if (at->nlmsg_type != SOCK_DIAG_BY_FAMILY) return false;
      const auto* found = static_cast<const inet_diag_msg*>(NLMSG_DATA(at));
      listeners.push_back({ntohs(found->id.idiag_sport), found->idiag_inode});
    }
  }
}

std::vector<Listener> all_listeners() {
  std::vector<Listener> listeners;
  if (ask_kernel(AF_INET, listeners) && ask_kernel(AF_INET6, listeners)) return listeners;
  listeners.clear();
  collect_listeners("/proc/net/tcp", listeners);
  collect_listeners("/proc/net/tcp6", listeners);
  return listeners;
}

struct Folder {
  explicit Folder(const std::string& path) : handle(::opendir(path.c_str())) {}
  ~Folder() {
    if (handle) ::closedir(handle);
  }
  DIR* handle;
};

using Inodes = std::map<unsigned long, std::uint16_t>;

/// The ports whose listening sockets this process has open.
std::set<std::uint16_t> held_by(const std::string& pid, const Inodes& inodes) {
  std::set<std::uint16_t> held;
  const std::string path = "/proc/" + pid + "/fd";
  Folder folder(path);
  if (!folder.handle) return held;
  const int at = ::dirfd(folder.handle);
  while (const dirent* entry = ::readdir(folder.handle)) {
    char target[64];
    const ssize_t length = ::readlinkat(at, entry->d_name, target, sizeof target - 1);
    if (length <= 0) continue;
    target[length] = 0;
    constexpr std::string_view kSocket = "socket:[";
    if (!std::string_view(target, static_cast<std::size_t>(length)).starts_with(kSocket)) continue;
    const unsigned long inode = std::strtoul(target + kSocket.size(), nullptr, 10);
    if (const auto found = inodes.find(inode); found != inodes.end()) held.insert(found->second);
  }
  return held;
}

PortHolder holder_of(const std::string& pid) {
  PortHolder holder;
  holder.pid = static_cast<pid_t>(std::atoi(pid.c_str()));
  if (auto name = read_file("/proc/" + pid + "/comm"))
    holder.program = name->substr(0, name->find('\n'));
  // The kernel keeps 15 characters; the rest is in the command line, if that is still its own.
  constexpr std::size_t kKept = 15;
  if (holder.program.size() == kKept) {
    if (auto line = read_file("/proc/" + pid + "/cmdline")) {
      const std::string called =
          std::filesystem::path(line->substr(0, line->find('\0'))).filename().string();
      if (called.starts_with(holder.program)) holder.program = called;
    }
  }
  return holder;
}

}  // namespace

bool port_is_free(std::uint16_t port) {
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = htons(port);
  four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  six.sin6_addr = in6addr_loopback;
  return can_bind(AF_INET, reinterpret_cast<sockaddr*>(&four), sizeof four) &&
         can_bind(AF_INET6, reinterpret_cast<sockaddr*>(&six), sizeof six);
}

std::map<std::uint16_t, PortHolder> port_holders(const std::set<std::uint16_t>& ports) {
  Inodes inodes;
  std::map<std::uint16_t, PortHolder> holders;
  for (const Listener& listener : all_listeners()) {
    if (!ports.contains(listener.port)) continue;
    inodes.emplace(listener.inode, listener.port);
    holders.emplace(listener.port, PortHolder{});
  }
  std::size_t unknown = holders.size();
  if (unknown == 0) return holders;
  Folder processes("/proc");
  while (const dirent* entry = processes.handle ? ::readdir(processes.handle) : nullptr) {
    const std::string pid = entry->d_name;
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    for (const std::uint16_t port : held_by(pid, inodes)) {
      PortHolder& holder = holders[port];
      if (holder.pid != 0) continue;
      holder = holder_of(pid);
      --unknown;
    }
    if (unknown == 0) break;
  }
  return holders;
}

std::optional<PortHolder> port_holder(std::uint16_t port) {
  const auto holders = port_holders({port});
  return holders.empty() ? std::nullopt : std::optional(holders.begin()->second);
}

std::set<std::uint16_t> listening_ports() {
  std::set<std::uint16_t> ports;
  for (const Listener& listener : all_listeners()) ports.insert(listener.port);
  return ports;
}

std::uint16_t next_free_port(std::uint16_t port) {
  for (int next = port + 1; next <= 65535; ++next)
    if (port_is_free(static_cast<std::uint16_t>(next))) return static_cast<std::uint16_t>(next);
  return 0;
}

std::string describe_port(std::uint16_t port) {
  const auto holder = port_holder(port);
  return holder ? describe_port(port, *holder) : fmt::format("port {} is in use", port);
}

std::string describe_port(std::uint16_t port, const PortHolder& holder) {
  if (holder.pid == 0) return fmt::format("port {} is held by a program of another user", port);
  return fmt::format("port {} is held by {} (pid {})", port, holder.program, holder.pid);
}

}  // namespace hyperdrive::core
