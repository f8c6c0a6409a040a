// The files of one config's proxy and what is written in them. Internal to core/process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/base/home.hpp"

namespace hyperdrive::core {

/// A Unix socket's path has room for 107 bytes and a zero (sockaddr_un).
inline constexpr std::size_t kMaxSocketPath = 107;

struct Sockets {
  std::string admin;
  std::string handover;
};

class ProxyFiles {
 public:
  ProxyFiles(const Home& home, const std::string& id);

  std::string lock() const { return base_ + ".lock"; }
  std::string restart_lock() const { return base_ + ".restart.lock"; }
  std::string state() const { return base_ + ".json"; }
  /// The state of a successor that is not ready yet (restart).
  std::string next_state() const { return base_ + ".next.json"; }
  const std::string& log() const { return log_; }

  /// Creates run/ and log/.
  Result<void> prepare() const;
  /// The sockets for a new proxy: names that no predecessor, running or draining, listens on. They
  /// lie in run/, or in a private folder (made here) when that path would be too long.
  Result<Sockets> sockets() const;

 private:
  Home home_;
  std::string id_;
  std::string base_;
  std::string log_;
};

/// What run/<id>.json says.
struct StateFile {
  pid_t pid = 0;
  std::uint64_t start_time = 0;  ///< field 22 of /proc/<pid>/stat: tells reuse of the pid
  std::uint16_t port = 0;
  std::optional<std::string> listen;  ///< the address of --listen; older files lack it
  std::string admin_socket;
  std::string handover_socket;
  std::string version;
  std::string started_at;
  bool ready = false;
  /// Names the chain of restarts this proxy belongs to: "<pid>.<start time>" of its first one. A
  /// proxy that was started anew, after the end of another, has another lineage.
  std::string lineage;
};

std::string lineage_of(pid_t first, std::uint64_t start_time);

std::optional<StateFile> read_state(const std::string& path);
std::string print_state(const StateFile& state);

/// Start time of a living process; nothing for a dead one or a zombie.
std::optional<std::uint64_t> process_start_time(pid_t pid);
bool is_alive(const StateFile& state);

/// An open-file-description lock (F_OFD_SETLK): it lives as long as any process keeps a duplicate
/// of the descriptor, over fork, exec and SCM_RIGHTS. Empty when another holds it.
Result<Descriptor> try_lock(const std::string& path);
/// Whether somebody holds it; asking does not disturb a concurrent `try_lock`.
bool is_locked(const std::string& path);

}  // namespace hyperdrive::core
