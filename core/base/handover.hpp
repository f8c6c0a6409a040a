// `restart`: how a listening socket passes from the old proxy to the new one
// (docs/decisions/020-restart-handover.md). Both sides' wire code is here; the proxy calls
// `send_listeners`, the CLI `receive_listeners`.
//
// A running proxy listens on `Launch::handover_socket` (a Unix stream socket, 0600; one peer at a
// time). The protocol on an accepted connection:
//
//   old → CLI   one message: the byte 'L' with SCM_RIGHTS: the listening sockets, then, last, the
//               descriptor that holds run/<id>.lock (Launch::lock_fd)
//   CLI         starts the new proxy with these as `listen_fds` and `lock_fd`, and this connection
//               as `handover_fd`; closes its own copies
//   new → old   'R' once it accepts connections (then it closes handover_fd)
//   old         on 'R': stops accepting (closes, never shutdown(2)s, its listeners), drains, exits
//   0.
//               On end of file without 'R': the new one failed; go on as if nothing had happened.
//
// Until 'R' the old proxy keeps accepting, so no connection is ever refused; whoever dies, a
// process with the listener and the lock remains.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace hyperdrive::core {

inline constexpr char kHandoverListeners = 'L';
inline constexpr char kHandoverReady = 'R';

/// The old proxy: sends the message 'L'. `connection` is the accepted peer. Blocks briefly.
Result<void> send_listeners(int connection, std::span<const int> listeners, int lock_fd);

struct Handover {
  Descriptor connection;  ///< becomes `handover_fd`
  std::vector<Descriptor> listeners;
  Descriptor lock;
};
/// The CLI: connects to the old proxy's handover socket and receives its descriptors.
Result<Handover> receive_listeners(const std::string& handover_socket);

/// The new proxy, once it accepts: sends 'R' and closes. Nothing to do for fd < 0.
void announce_ready(int handover_fd);

}  // namespace hyperdrive::core
