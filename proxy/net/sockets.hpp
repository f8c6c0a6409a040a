// Sockets before they are streams: listening, options, and passing descriptors between processes.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "proxy/net/stream.hpp"

namespace hyperdrive::proxy::net {

/// TCP_NODELAY and keep-alive. Sockets that are not TCP are left as they are. On a listening
/// socket: accepted connections inherit all of them on Linux.
void set_stream_options(int fd);

/// Whether the other end has been silent for this long while what it was sent was repeated again
/// and again: it, or the way to it, is gone. (TCP_USER_TIMEOUT would also end a connection whose
/// peer is there and does not read, such as a COPY that waits for a lock.)
inline constexpr std::chrono::seconds kPeerPatience{30};
bool peer_has_vanished(int fd);

/// A listening socket on a numeric `address` ("127.0.0.1", "::1", "0.0.0.0"); `port` 0 lets the
/// kernel choose (listening_port tells). Close-on-exec, SO_REUSEADDR. The caller closes it.
core::Result<int> open_listener(const std::string& address, std::uint16_t port);

/// Listens on 127.0.0.1 and, where the machine has IPv6, on ::1, with the same port.
core::Result<std::vector<int>> open_loopback_listeners(std::uint16_t port);

core::Result<std::uint16_t> listening_port(int fd);

/// The numeric address at the other end; empty where there is none (a Unix socket, a dead one).
std::string peer_address(int fd);

/// A listening Unix socket at `path`, mode 0600; a stale socket file there is replaced.
core::Result<int> open_unix_listener(const std::string& path);
/// A connected, blocking Unix socket.
core::Result<int> connect_unix(const std::string& path);

/// Sends `fds` (at most 16) with a payload over a connected Unix socket (SCM_RIGHTS); blocking.
core::Result<void> send_descriptors(int socket, std::span<const int> fds, Bytes payload);

struct Descriptors {
  std::vector<int> fds;  ///< close-on-exec; the receiver closes them
  std::string payload;   ///< up to 4 kB
};
/// Receives what send_descriptors sent; blocking (SO_RCVTIMEO on `socket` bounds it).
core::Result<Descriptors> receive_descriptors(int socket);

}  // namespace hyperdrive::proxy::net
