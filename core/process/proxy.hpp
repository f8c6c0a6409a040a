// Proxies as processes: start, find, stop, restart, verify.
//
// A proxy is `hyperdrive-proxy --config-fd N --ready-fd M`; its Launch goes through N, its
// readiness comes back through M as one line (core/config/json.hpp). Files of a proxy, all in the
// home folder:
//
//   run/<id>.lock   an open-file-description lock held by the proxy through a descriptor it
//   inherits
//                   (Launch::lock_fd): it is free exactly when no proxy (and no start) is alive,
//                   whatever was killed how; in it the last word of a proxy that ended in order
//                   (core/base/last_word.hpp)
//   run/<id>.json   pid, its start time, port, admin socket, version, ready; written by the
//   starting
//                   process under its own name before it becomes the proxy, so that a killed CLI
//                   leaves nothing unknown behind
//   run/<id>.sock   the admin socket, <id>.hand the handover socket (after a restart <id>.2.sock
//   and
//                   <id>.2.hand, alternating); elsewhere when the path would pass 107 bytes
//   log/<id>.log    its log, 0600, moved to <id>.log.1 at a start when above 8 MiB
//
// `starter`: the short-lived process between CLI and proxy; it lives until the proxy is ready, so
// that `kill -9` of the CLI at any moment changes nothing about a start that has begun.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/base/home.hpp"
#include "core/config/config.hpp"

namespace hyperdrive::core {

enum class ProxyPhase { kStopped, kStarting, kRunning };

struct ProxyState {
  ProxyPhase phase = ProxyPhase::kStopped;
  pid_t pid = 0;
  std::uint16_t port = 0;             ///< what it listens on, whatever the config says by now
  std::optional<std::string> listen;  ///< likewise the address; empty: loopback
  std::string admin_socket;
  std::string handover_socket;
  std::string version;
  std::string started_at;  ///< RFC 3339
  /// Stopped, but its state file is there and no last word: told until it is started or stopped.
  bool crashed = false;
};

/// The truth about a config's proxy at this moment; removes what one that ended in order left.
Result<ProxyState> proxy_state(const Home& home, const std::string& id);

struct Started {
  pid_t pid = 0;
  std::uint16_t port = 0;
  std::string admin_socket;
  bool already_running = false;
};

/// Starts the proxy in the background and returns when it accepts connections, or says why it does
/// not (its own words; for a port in use also who holds it and the next free one). If one runs or
/// is being started by another process, waits for that and succeeds. `launch` needs no paths: they
/// are filled in here.
Result<Started> start_proxy(const Home& home, Launch launch,
                            std::chrono::milliseconds timeout = std::chrono::seconds(20));

/// As `start_proxy`, but the proxy is tied to this process: `exit_with_parent`.
Result<Started> start_attached_proxy(const Home& home, Launch launch,
                                     std::chrono::milliseconds timeout = std::chrono::seconds(20));

/// How much longer than its drain the end of a proxy may take: what is cut off then is cancelled at
/// the origin, which is waited for a moment.
inline constexpr std::chrono::milliseconds kAfterDrain{5'000};

/// SIGTERM, then waits for the drain to end. At the deadline an error, the proxy still draining.
/// Nothing running is success (`false`), and a crash is told no more.
Result<bool> stop_proxy(const Home& home, const std::string& id,
                        std::chrono::milliseconds timeout = std::chrono::seconds(30) + kAfterDrain);
/// For `stop --force`: both of the signals that end it, so that it waits for nobody, but has the
/// origin end what runs there; SIGKILL if that does not help.
Result<bool> kill_proxy(const Home& home, const std::string& id);

/// A new proxy takes over the listening sockets, then the old one drains (handover.hpp). Not
/// running: a plain start.
Result<Started> restart_proxy(const Home& home, Launch launch,
                              std::chrono::milliseconds timeout = std::chrono::seconds(20));

/// Runs `hyperdrive-proxy --verify` on this config; returns its JSON report (docs/admin-api.md).
/// The report tells of failures; an Error here means that the program itself could not be run.
Result<std::string> verify_origin(const Launch& launch,
                                  std::chrono::milliseconds timeout = std::chrono::seconds(60));

/// Where `hyperdrive-proxy` is: $HYPERDRIVE_PROXY, beside this program, or in PATH.
Result<std::string> proxy_program();

/// Removes every file of a config's proxy, its log too (`delete`). An error while it runs.
Result<void> forget_proxy(const Home& home, const std::string& id);

/// Path of the log of a config's proxy.
std::string log_path(const Home& home, const std::string& id);

}  // namespace hyperdrive::core
