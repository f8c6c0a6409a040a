// Making a proxy process. Internal to core/process.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/config/config.hpp"
#include "core/config/json.hpp"
#include "core/process/files.hpp"

namespace hyperdrive::core {

/// A pipe that already holds `content` and nothing after it, so that its reader needs no living
/// writer. Returns the reading end.
Result<Descriptor> filled_pipe(const Secret& content);

/// The environment of a proxy: what libraries and the system need, none of the caller's secrets.
std::vector<std::string> proxy_environment();

struct SpawnPlan {
  std::string program;
  Launch launch;                 ///< complete, with the numbers of the descriptors below
  std::vector<int> inherited;    ///< descriptors that the proxy keeps: lock, listeners, handover
  int turn = -1;                 ///< of a restart: a lock that the starter, not the proxy, keeps
  std::string state_path;        ///< where the new process writes its state before it is the proxy
  std::string ready_state_path;  ///< where that file goes once it is ready (may be the same)
  std::chrono::milliseconds timeout;
  std::string lineage;  ///< of the proxy it takes over from; empty: it begins its own
};

struct Spawned {
  pid_t pid = 0;
  Ready ready;  ///< not ready: why, in the proxy's words; the process has ended
};

/// By way of a starter process (proxy.hpp); the proxy ends up in a session of its own.
Result<Spawned> spawn_detached(const SpawnPlan& plan);
/// As a child of this process, in a process group of its own, with SIGTERM when this process dies.
Result<Spawned> spawn_attached(const SpawnPlan& plan);

}  // namespace hyperdrive::core
