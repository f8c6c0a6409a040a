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
//   new → old   'R' once it accepts connections
//   old         on 'R': stops accepting (closes, never shutdown(2)s, its listeners), drains, exits
//   0.
//               On end of file without 'R': the new one failed; go on as if nothing had happened.
//   new → old   then, as long as both live: 'C', a length (u16, big-endian) and a cancel request
//               for a session that the new one does not know
//
// Until 'R' the old proxy keeps accepting, so no connection is ever refused; whoever dies, a
// process with the listener and the lock remains.
#pragma once

#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/file.hpp"

namespace hyperdrive::core {

inline constexpr char kHandoverListeners = 'L';
inline constexpr char kHandoverReady = 'R';
inline constexpr char kHandoverCancel = 'C';

/// The old proxy: sends the message 'L'. `connection` is the accepted peer. Blocks briefly.
Result<void> send_listeners(int connection, std::span<const int> listeners, int lock_fd);

struct Handover {
  Descriptor connection;  ///< becomes `handover_fd`
  std::vector<Descriptor> listeners;
  Descriptor lock;
};
/// The CLI: connects to the old proxy's handover socket and receives its descriptors.
Result<Handover> receive_listeners(const std::string& handover_socket);

/// The new proxy's end of the connection: whom it has taken over from, if anybody. Any thread.
class Predecessor {
 public:
  /// `connection`: none where nobody was there before.
  explicit Predecessor(Descriptor connection) : connection_(std::move(connection)) {}
  /// Once it accepts: sends 'R'.
  void announce_ready();
  /// To be polled for its end, which is the predecessor's; -1: nobody was there before.
  int connection() const { return connection_.get(); }
  /// Passes a cancel request on; does nothing if nobody is there, waits for nothing.
  void cancel(std::string_view request);

 private:
  std::mutex mutex_;
  Descriptor connection_;
  bool announced_ = false;
};

/// The old proxy's: puts the cancel requests that come behind 'R' together.
class PassedCancels {
 public:
  void add(std::string_view bytes) { bytes_ += bytes; }
  /// The next whole one; none: more bytes are needed, or what has come is no cancel request.
  std::optional<std::string> next();

 private:
  std::string bytes_;
};

}  // namespace hyperdrive::core
