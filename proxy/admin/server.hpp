// The admin HTTP server (docs/admin-api.md): on a Unix socket, and optionally on a loopback port
// with a token. One thread of its own; nothing here runs on a worker.
//
// Owned by the process's main; `backend` and `events` must outlive it, and publishing to
// `events` must have ended before it is destroyed. Destruction ends the thread and removes the
// socket file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/error.hpp"
#include "core/base/secret.hpp"
#include "proxy/admin/backend.hpp"
#include "proxy/admin/event_hub.hpp"

namespace hyperdrive::proxy::admin {

struct AdminOptions {
  std::string socket_path;  ///< at most 107 bytes; empty: no Unix socket
  std::uint16_t port = 0;   ///< 0: no port
  core::Secret token;       ///< of the port (admin_token); must not be empty where there is one
  /// In a restart: the predecessor has the port until it hands over. It is waited for, not an
  /// error.
  bool port_may_be_taken = false;
};

/// The port's token: derived from the config's local password, so that it stays valid over restarts
/// (a Prometheus job keeps it) and yet does not open the database.
core::Secret admin_token(const core::Secret& local_password);

class AdminServer {
 public:
  /// A socket file at the path is replaced only if nobody listens on it.
  static core::Result<std::unique_ptr<AdminServer>> start(const AdminOptions& options,
                                                          AdminBackend& backend, EventHub& events);
  virtual ~AdminServer() = default;
  /// 0: none, or not yet.
  virtual std::uint16_t port() const = 0;
  /// A successor takes over: the port is its from now on; the socket and what runs stay. Any
  /// thread.
  virtual void leave_port() = 0;
};

}  // namespace hyperdrive::proxy::admin
