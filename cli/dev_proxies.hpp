// The proxies of one `hyperdrive dev`: started, watched, drained at the end.
//
// A proxy that runs already (`hyperdrive start`, another `hyperdrive dev`) is used as it is and
// left running; if it ends, one of our own takes its place. Ours are tied to this process: when it
// is gone, killed or not, they drain and exit. One thread for each proxy's events; everything else
// belongs to the thread that made the object.
#pragma once

#include <atomic>
#include <functional>
#include <future>
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

  /// Starts each distinct config once. The first failure stops those already started. `bound`
  /// outlives this object.
  core::Result<void> start(const std::vector<BoundConfig>& bound);

  /// The config with the address at which its proxy, now running, can be reached.
  core::Config listening(const BoundConfig& bound) const;

  /// Prints a line for every query of every proxy that comes after the call has returned.
  void watch();

  /// Drains what was started here, ends the watching.
  void stop();

  /// Starts a proxy for each that was another's and has ended, and watches those that have taken
  /// over in a `restart`. To be called again and again.
  core::Result<void> take_over();

  /// The config whose proxy of ours runs no more, or nothing; take_over() sees to those of others.
  std::string ended() const;

 private:
  struct Proxy {
    std::string id;
    std::string name;
    std::string admin_socket;
    bool ours = false;
    const BoundConfig* bound = nullptr;
  };

  core::Result<Proxy> start_one(const BoundConfig& bound);
  bool runs(const Proxy& proxy) const;
  /// A `hyperdrive restart` has put another proxy in its place: its queries are shown, too.
  void follow_restart(Proxy& proxy);
  /// Ready when the proxy tells of its queries, or cannot.
  std::future<void> watch_one(const Proxy& proxy);
  void follow(const std::string& name, const std::string& admin_socket, std::function<void()> open);

  Context& context_;
  std::vector<Proxy> proxies_;
  std::vector<std::thread> watchers_;
  std::atomic<bool> ending_{false};  ///< the watchers shall end
  bool watching_ = false;
  bool stopped_ = false;
  std::mutex printing_;
};

}  // namespace hyperdrive::cli
