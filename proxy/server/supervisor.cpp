#include "proxy/server/supervisor.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <utility>

#include "proxy/net/sockets.hpp"

namespace hyperdrive::proxy::server {
namespace {

sigset_t our_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  return set;
}

}  // namespace

void block_signals() {
  const sigset_t set = our_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  // Both are told by the call that failed: a log that must not grow (ulimit -f) is no reason to
  // die.
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
}

Supervisor::Supervisor(Proxy& proxy, std::shared_ptr<LogFile> log,
                       std::shared_ptr<const core::Predecessor> predecessor)
    : proxy_(proxy),
      log_(std::move(log)),
      troubles_(proxy),
      predecessor_(std::move(predecessor)),
      predecessor_lives_(predecessor_->connection() >= 0) {}

core::Result<void> Supervisor::open() {
  const sigset_t set = our_signals();
  signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  ended_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!signals_ || !ended_) return core::fail("No signal descriptor: " + core::errno_text(errno));
  proxy_.on_ended([fd = ended_.get()] {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(fd, &one, sizeof one);
  });
  handover_path_ = proxy_.launch().handover_socket;
  if (handover_path_.empty()) return {};
  auto listener = net::open_unix_listener(handover_path_);
  if (!listener) return tl::unexpected(listener.error());
  handover_.reset(*listener);
  return {};
}

void Supervisor::run(std::function<void()> handed_over) {
  tell_handed_over_ = std::move(handed_over);
  // Whom this one hands over to knows of its end only: it outlives those before it.
  while (!over_ || (handed_over_ && predecessor_lives_)) {
    std::array<pollfd, 5> fds = {
        pollfd{signals_.get(), POLLIN, 0}, pollfd{over_ ? -1 : ended_.get(), POLLIN, 0},
        pollfd{successor_ ? -1 : handover_.get(), POLLIN, 0}, pollfd{successor_.get(), POLLIN, 0},
        pollfd{predecessor_lives_ ? predecessor_->connection() : -1, 0, 0}};
    const int ready = ::poll(fds.data(), fds.size(), static_cast<int>(TroubleLog::kLook.count()));
    troubles_.look(std::chrono::steady_clock::now());
    if (ready <= 0) continue;
    if (fds[0].revents != 0) on_signal();
    if (fds[1].revents != 0) over_ = true;
    if (fds[2].revents != 0) on_successor();
    if (fds[3].revents != 0) on_successor_speaks();
    if (fds[4].revents != 0) on_predecessor_ended();
  }
}

void Supervisor::on_signal() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGHUP) {
      reload();
      continue;
    }
    if (++terminations_ > 1) {
      spdlog::warn("signal {} again: nobody is waited for", info.ssi_signo);
      proxy_.stop_now();
      return;
    }
    const auto timeout = proxy_.launch().config.local.drain_timeout;
    spdlog::info("signal {}: draining, at most {} ms", info.ssi_signo, timeout.count());
    proxy_.drain(timeout);
  }
}

void Supervisor::reload() {
  if (log_) log_->reopen();
  const auto reloaded = proxy_.reload(proxy_.launch());
  if (reloaded) {
    spdlog::info("SIGHUP: certificates read again, log reopened (settings come by `update`)");
  } else {
    spdlog::error("SIGHUP: nothing is changed: {} {}", reloaded.error().message,
                  reloaded.error().hint);
  }
}

/// Somebody wants to take over: gets the listeners; until it says that it accepts, we do.
void Supervisor::on_successor() {
  successor_.reset(::accept4(handover_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!successor_) return;
  const auto sent =
      core::send_listeners(successor_.get(), proxy_.listen_fds(), proxy_.launch().lock_fd);
  if (!sent) {
    spdlog::warn("hand-over: {}", sent.error().message);
    successor_.reset();
  }
}

void Supervisor::on_predecessor_ended() {
  predecessor_lives_ = false;
  if (!handed_over_) proxy_.plane().set_alone(true);
}

void Supervisor::on_successor_speaks() {
  std::array<char, 4096> bytes;
  const auto got = ::recv(successor_.get(), bytes.data(), bytes.size(), 0);
  if (got <= 0) {
    successor_.reset();
    if (!handed_over_) spdlog::warn("the successor did not come up: going on");
    return;
  }
  std::string_view words(bytes.data(), static_cast<std::size_t>(got));
  if (!handed_over_) {
    if (words.front() != core::kHandoverReady) return successor_.reset();
    words.remove_prefix(1);
    pass_over();
  }
  cancels_.add(words);
  while (const auto request = cancels_.next()) proxy_.plane().cancel(*request);
}

void Supervisor::pass_over() {
  spdlog::info("a successor has taken over the port: draining");
  handed_over_ = true;
  handover_.reset();
  ::unlink(handover_path_.c_str());
  // The lock is the successor's alone now: `stop` and `start` need not wait for this drain.
  if (const int lock = proxy_.launch().lock_fd; lock >= 0) ::close(lock);
  tell_handed_over_();
  proxy_.hand_over();
}

}  // namespace hyperdrive::proxy::server
