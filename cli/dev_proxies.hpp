// The proxies of one `hyperdrive dev`: started, watched, drained at the end.
//
// A proxy that runs already (`hyperdrive start`) is used as it is and left running. The others are
// tied to this process: when it is gone, killed or not, they drain and exit. One thread for each
// proxy's events; everything else belongs to the thread that made the object.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cli/bound_configs.hpp"
#include "cli/context.hpp"
#include "core/base/error.hpp"

namespace hyperdrive::cli {

class DevProxies {
 public:
  explicit DevProxies(Context& context) : context_(context) {}
  ~DevProxies();
  DevProxies(const DevProxies&) = delete;
  DevProxies& operator=(const DevProxies&) = delete;

  /// Starts each distinct config once. The first failure stops those already started.
  core::Result<void> start(const std::vector<BoundConfig>& bound);

  /// Prints a line for every query of every proxy from now on.
  void watch();

  /// Drains what was started here, ends the watching.
  void stop();

  /// Whether every proxy that was started here still runs.
  bool all_running() const;

 private:
  struct Proxy {
    std::string id;
    std::string name;
    std::string admin_socket;
    bool ours = false;
  };

  core::Result<void> start_one(const BoundConfig& bound);
  void follow(const Proxy& proxy);

  Context& context_;
  std::vector<Proxy> proxies_;
  std::vector<std::thread> watchers_;
  std::atomic<bool> ending_{false};  ///< the watchers shall end
  bool stopped_ = false;
  std::mutex printing_;
};

}  // namespace hyperdrive::cli
