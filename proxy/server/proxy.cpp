#include "proxy/server/proxy.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <memory>

#include "core/base/file.hpp"
#include "proxy/net/sockets.hpp"
#include "proxy/server/options.hpp"
#include "proxy/server/planes.hpp"

namespace hyperdrive::proxy::server {

/// How long the origin has to take note of what is cancelled at the end of a drain.
constexpr std::chrono::seconds kCancelPatience{2};
/// A Worker's connection lives some milliseconds, on a busy machine a second: after this time only
/// pools of idle ones are left.
constexpr std::chrono::seconds kHandoverGrace{5};

core::Result<std::unique_ptr<Proxy>> Proxy::create(core::Launch launch) {
  std::vector<std::unique_ptr<net::Loop>> loops;
  std::vector<net::Loop*> plain;
  const std::size_t count = worker_count(launch.config.local);
  for (std::size_t i = 0; i < count; ++i) {
    auto loop = net::Loop::create();
    if (!loop) return tl::unexpected(loop.error());
    plain.push_back(loop->get());
    loops.push_back(std::move(*loop));
  }
  std::unique_ptr<Proxy> proxy(new Proxy(std::move(launch), std::move(loops)));
  auto plane = make_plane(proxy->launch_, proxy->telemetry_, plain);
  if (!plane) return tl::unexpected(plane.error());
  proxy->plane_ = std::move(*plane);
  return proxy;
}

Proxy::Proxy(core::Launch launch, std::vector<std::unique_ptr<net::Loop>> loops)
    : launch_(std::move(launch)), telemetry_(loops.size()), loops_(std::move(loops)) {
  listeners_.resize(loops_.size());
}

Proxy::~Proxy() {
  join();
  plane_.reset();
  listeners_.clear();
  deadlines_.clear();
  ends_.clear();
  backlog_.clear();
  close_listen_fds();
}

void Proxy::join() {
  if (threads_.empty()) return;
  stop_now();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

/// Who ends must not keep the port: its clients would wait in the backlog of a socket that nobody
/// accepts from, and the next proxy could not have it.
void Proxy::close_listen_fds() {
  const std::lock_guard lock(mutex_);
  for (const int fd : listen_fds_) ::close(fd);
  listen_fds_.clear();
}

std::vector<int> Proxy::listen_fds() const {
  const std::lock_guard lock(mutex_);
  return listen_fds_;
}

core::Launch Proxy::launch() const {
  const std::lock_guard lock(mutex_);
  return launch_;
}

core::Result<void> Proxy::listen(std::string& reason) {
  const core::LocalSettings& local = launch_.config.local;
  if (!launch_.listen_fds.empty()) {
    listen_fds_ = launch_.listen_fds;
    for (const int fd : listen_fds_) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  } else if (local.listen.empty()) {
    auto fds = net::open_loopback_listeners(local.local_port);
    if (!fds) {
      reason = "port_in_use";
      return tl::unexpected(fds.error());
    }
    listen_fds_ = std::move(*fds);
  } else {
    auto fd = net::open_listener(local.listen, local.local_port);
    if (!fd) {
      reason = "port_in_use";
      return tl::unexpected(fd.error());
    }
    listen_fds_ = {*fd};
  }
  auto port = net::listening_port(listen_fds_.front());
  if (!port) return tl::unexpected(port.error());
  port_ = *port;
  return {};
}

core::Result<void> Proxy::start(session::EventSink* sink) {
  telemetry_.set_sink(sink);
  if (auto started = plane_->start(); !started) return started;
  const bool inherited = !launch_.listen_fds.empty();
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    session::PlaneWorker* worker = &plane_->worker(i);
    for (const int fd : listen_fds_) listen_on(i, fd);
    if (inherited) watch_backlog(i);
    deadlines_.push_back(loops_[i]->timer([this, worker] {
      hurry_ = true;
      worker->close_all();
    }));
    ends_.push_back(loops_[i]->timer([this, i] { end_loop(i); }));
  }
  grace_ = loops_[0]->timer([this] { drain(launch().config.local.drain_timeout); });
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    threads_.emplace_back([this, i] { run_worker(i); });
  }
  return {};
}

void Proxy::listen_on(std::size_t index, int fd) {
  session::PlaneWorker* worker = &plane_->worker(index);
  listeners_[index].push_back(loops_[index]->listen(
      ::fcntl(fd, F_DUPFD_CLOEXEC, 3),
      [worker](std::unique_ptr<net::Stream> stream) { worker->accept(std::move(stream)); }));
}

/// The kernel wakes one of those who wait on a listening socket for each new connection. If that is
/// the predecessor, which cancels its wait at that moment, nobody else is told: the client waits
/// until the next one comes. For as long as that can happen, who stays in the backlog is fetched by
/// one more accept, which looks before it waits.
void Proxy::watch_backlog(std::size_t index) {
  constexpr std::chrono::milliseconds kStep{50};
  constexpr int kChecks = 100;  // the predecessor's waits end in the first turns
  auto seen = std::make_shared<std::map<int, bool>>();
  auto left = std::make_shared<int>(kChecks);
  backlog_.resize(loops_.size());
  backlog_[index] = loops_[index]->timer([this, index, seen, left] {
    const std::lock_guard lock(mutex_);  // or they could be closed, and their numbers be others'
    for (const int fd : listen_fds_) {
      pollfd entry{fd, POLLIN, 0};
      const bool waits = ::poll(&entry, 1, 0) == 1 && (entry.revents & POLLIN) != 0;
      if (waits && (*seen)[fd]) listen_on(index, fd);
      (*seen)[fd] = waits && !(*seen)[fd];
    }
    if (--*left > 0 && !draining()) backlog_[index]->arm(kStep);
  });
  backlog_[index]->arm(kStep);
}

void Proxy::run_worker(std::size_t index) { loops_[index]->run(); }

// --- the end ------------------------------------------------------------------------------------

void Proxy::drain(std::chrono::milliseconds timeout) {
  if (draining_.exchange(true)) return;
  close_listen_fds();
  busy_workers_ = loops_.size();
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    loops_[i]->post([this, i, timeout] {
      listeners_[i].clear();
      deadlines_[i]->arm(timeout);
      plane_->worker(i).on_empty([this] { worker_empty(); });
      plane_->worker(i).drain();
    });
  }
}

void Proxy::hand_over() {
  close_listen_fds();
  plane_->pool().wind_down();  // the origin may not take two pools
  plane_->set_alone(false);
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    loops_[i]->post([this, i] {
      listeners_[i].clear();
      if (i == 0) grace_->arm(kHandoverGrace);
    });
  }
}

void Proxy::worker_empty() {
  if (busy_workers_.fetch_sub(1) == 1) end_loops();
}

void Proxy::stop_now() {
  draining_ = true;
  at_once_ = hurry_.exchange(true);
  end_loops();
}

/// Idle origin connections say goodbye; the loops end two turns later, when that has been sent.
void Proxy::end_loops() {
  if (told_end_.exchange(true)) return;
  running_loops_ = loops_.size();
  last_moment_ = std::chrono::steady_clock::now() + kCancelPatience;
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    net::Loop* loop = loops_[i].get();
    loop->post([this, i, loop] {
      listeners_[i].clear();
      plane_->worker(i).close_all();
      plane_->pool().close(i, true);
      loop->post([this, i, loop] { loop->post([this, i] { end_loop(i); }); });
    });
  }
}

/// The last answers of clients that have left may still be on their way; they are waited for as
/// long as clients are. So may be the word to the origin that it need not go on with what it does
/// for those who were cut off.
void Proxy::end_loop(std::size_t index) {
  constexpr std::chrono::milliseconds kLook{10};
  const bool cancelling = !at_once_ && plane_->worker(index).cancelling() &&
                          std::chrono::steady_clock::now() < last_moment_;
  if (cancelling) return ends_[index]->arm(kLook);
  if (!hurry_ && loops_[index]->owes_bytes()) return ends_[index]->arm(kLook);
  loops_[index]->stop();
  if (running_loops_.fetch_sub(1) == 1 && ended_) ended_();
}

// --- reload -------------------------------------------------------------------------------------

core::Result<Reloaded> Proxy::reload(core::Launch launch) {
  const std::lock_guard turn(reload_);
  core::Launch before = this->launch();
  if (launch.config.id != before.config.id) {
    return core::fail("The document is for another config.", "Reload with this config's own.");
  }
  Reloaded reloaded;
  reloaded.restart = keep_until_restart(before, launch);
  auto& changed = reloaded.changed;
  changed = live_changes(before.config, launch.config);
  const bool new_origin = origin_differs(before, launch);
  if (new_origin) changed.insert(changed.begin(), "origin");
  if (auto loaded = plane_->reload(launch, new_origin); !loaded) {
    return tl::unexpected(loaded.error());
  }
  // What belongs to this process stays as it was started.
  launch.admin_socket = before.admin_socket;
  launch.handover_socket = before.handover_socket;
  launch.log_file = before.log_file;
  launch.listen_fds = before.listen_fds;
  launch.handover_fd = before.handover_fd;
  launch.lock_fd = before.lock_fd;
  const std::lock_guard lock(mutex_);
  launch_ = std::move(launch);
  return reloaded;
}

std::vector<std::string> Proxy::addresses() const {
  std::vector<std::string> out;
  const std::lock_guard lock(mutex_);
  for (const int fd : listen_fds_) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) continue;
    char text[INET6_ADDRSTRLEN] = {};
    if (address.ss_family == AF_INET6) {
      const auto& six = reinterpret_cast<const sockaddr_in6&>(address);
      ::inet_ntop(AF_INET6, &six.sin6_addr, text, sizeof text);
      out.push_back(fmt::format("[{}]:{}", text, port_));
    } else {
      const auto& four = reinterpret_cast<const sockaddr_in&>(address);
      ::inet_ntop(AF_INET, &four.sin_addr, text, sizeof text);
      out.push_back(fmt::format("{}:{}", text, port_));
    }
  }
  return out;
}

}  // namespace hyperdrive::proxy::server
