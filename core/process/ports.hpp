// Loopback TCP ports: is one free, who holds it, which is the next.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace hyperdrive::core {

struct PortHolder {
  pid_t pid = 0;        ///< 0: not visible to this user
  std::string program;  ///< its short name; empty if unknown
};

/// Whether both 127.0.0.1 and ::1 (where there is IPv6) can be bound.
bool port_is_free(std::uint16_t port);
/// From /proc; nothing when no listening socket has this port.
std::optional<PortHolder> port_holder(std::uint16_t port);
/// The same for several ports at one walk through /proc; those that nobody listens on are left out.
std::map<std::uint16_t, PortHolder> port_holders(const std::set<std::uint16_t>& ports);
/// The ports of all listening TCP sockets of this machine, at one look.
std::set<std::uint16_t> listening_ports();
/// The first free port above `port`, or 0.
std::uint16_t next_free_port(std::uint16_t port);
/// `port 15432 is held by postgres (pid 812)`.
std::string describe_port(std::uint16_t port);
std::string describe_port(std::uint16_t port, const PortHolder& holder);

}  // namespace hyperdrive::core
