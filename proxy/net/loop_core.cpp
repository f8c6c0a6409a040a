#include "proxy/net/loop_core.hpp"

#include <linux/sockios.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "proxy/net/connecting.hpp"

namespace hyperdrive::proxy::net {

void StreamQueue::add(SocketStream& stream) {
  if ((stream.queued & bit_) != 0) return;
  stream.queued |= bit_;
  waiting_.push_back(&stream);
}

bool StreamQueue::holds(const SocketStream& stream) const { return (stream.queued & bit_) != 0; }

void StreamQueue::forget(SocketStream& stream) {
  if ((stream.queued & bit_) == 0) return;
  stream.queued &= static_cast<std::uint8_t>(~bit_);
  for (auto* queue : {&waiting_, &running_}) {
    const auto at = std::find(queue->begin(), queue->end(), &stream);
    if (at != queue->end()) *at = nullptr;
  }
}

LoopCore::LoopCore() : plain_(new char[kHeadroom + kPlain]), wake_fd_(::eventfd(0, EFD_CLOEXEC)) {
  read_clock();
}

LoopCore::~LoopCore() {
  if (wake_fd_ >= 0) ::close(wake_fd_);
}

// --- tasks and timers
// -------------------------------------------------------------------------------

void LoopCore::stop() {
  stopping_.store(true);
  wake();
}

void LoopCore::wake() {
  const std::uint64_t one = 1;
  // Nothing can go wrong with an eventfd of our own.
  [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);
}

void LoopCore::post(std::function<void()> task) {
  {
    const std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(task));
  }
  // Either this store is seen by the loop before it sleeps, or the loop is seen asleep here.
  has_posted_.store(true);
  if (asleep_.load() && asleep_.exchange(false)) wake();
}

void LoopCore::defer(std::function<void()> task) { deferred_.push_back(std::move(task)); }

std::unique_ptr<Timer> LoopCore::timer(std::function<void()> on_fire) {
  return timers_.make(std::move(on_fire));
}

void LoopCore::run_posted() {
  if (!has_posted_.load(std::memory_order_relaxed)) return;
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(posted_mutex_);
    has_posted_.store(false);
    tasks.swap(posted_);
  }
  for (auto& task : tasks) {
    task();
    task = nullptr;
  }
}

void LoopCore::run_deferred() {
  // A deferred task may defer another: both belong to this turn.
  for (std::size_t i = 0; i < deferred_.size(); ++i) {
    const auto task = std::move(deferred_[i]);
    task();
  }
  deferred_.clear();
}

void LoopCore::finish_turn() {
  timers_.run();
  run_posted();
  to_drain_.run([](SocketStream& stream) { stream.drained(); });
  // Twice: what a deferred task resumed need not wait for another turn.
  for (int round = 0; round < 2 && (!to_work_.empty() || !deferred_.empty()); ++round) {
    to_work_.run([this](SocketStream& stream) {
      if (stream.present_kept()) read_on(stream);
    });
    run_deferred();
  }
  send_all();
}

void LoopCore::send_all() {
  to_send_.run([this](SocketStream& stream) { send(stream); });
}

std::optional<std::chrono::nanoseconds> LoopCore::prepare_to_sleep() {
  using std::chrono::nanoseconds;
  const bool busy = !to_work_.empty() || !to_drain_.empty() || !to_send_.empty() ||
                    !deferred_.empty() || stopping();
  if (busy) return nanoseconds{0};
  asleep_.store(true);
  if (has_posted_.load() || stopping_.load()) {
    woken();
    return nanoseconds{0};
  }
  const auto next = timers_.next();
  if (!next) return std::nullopt;
  return std::max(nanoseconds{0}, std::chrono::duration_cast<nanoseconds>(*next - now_));
}

bool LoopCore::goes_on() {
  if (!stopping_.load(std::memory_order_relaxed)) return true;
  stopping_.store(false);
  return false;
}

// --- streams
// ----------------------------------------------------------------------------------------

std::unique_ptr<Stream> LoopCore::adopt(int fd) {
  // Both backends say per call that they will not block; io_uring would fail requests on
  // non-blocking sockets with EAGAIN instead of waiting for them.
  int off = 0;
  ::ioctl(fd, FIONBIO, &off);
  return adopt_ready(fd);
}

std::unique_ptr<Stream> LoopCore::adopt_ready(int fd) {
  auto stream = std::make_unique<SocketStream>(fd, this);
  arm(*stream);
  return stream;
}

void LoopCore::attach(Stream& stream) {
  auto& socket = static_cast<SocketStream&>(stream);
  socket.move_to(this);
  arm(socket);
  if (socket.unsent() != 0) output_waits(socket);
}

void LoopCore::leave_queues(SocketStream& stream) {
  if (stream.queued == 0) return;
  to_send_.forget(stream);
  to_work_.forget(stream);
  to_drain_.forget(stream);
}

void LoopCore::forget(SocketStream& stream) {
  leave_queues(stream);
  release(stream, stream.fd());
}

void LoopCore::hand_over(std::unique_ptr<Stream> stream,
                         std::function<void(std::unique_ptr<Stream>)> done) {
  auto& socket = static_cast<SocketStream&>(*stream);
  char byte;
  const auto waiting = ::recv(socket.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  const bool idle = waiting < 0 && (errno == EAGAIN || errno == EINTR);
  leave_queues(socket);
  socket.move_to(nullptr);
  if (!idle || socket.closed() || socket.broken() || socket.unread() != 0) stream.reset();
  done(std::move(stream));
}

void LoopCore::close_later(std::unique_ptr<Stream> stream, Milliseconds patience,
                           std::function<void()> closed) {
  auto* socket = static_cast<SocketStream*>(stream.get());
  socket->finish();
  const bool nothing_left = (socket->closed() && socket->unsent() == 0) || socket->broken();
  if (nothing_left) {
    stream.reset();
    if (closed) closed();
    return;
  }
  auto timer = this->timer([this, socket] { drop_lingering(socket); });
  timer->arm(patience);
  lingering_.push_back({std::move(stream), std::move(timer), std::move(closed)});
}

bool LoopCore::owes_bytes() const {
  return std::any_of(lingering_.begin(), lingering_.end(), [](const Lingering& each) {
    // A reset by bytes that nobody will read here would take what is on its way back.
    int on_its_way = 0;
    const bool known = ::ioctl(each.stream->fd(), SIOCOUTQ, &on_its_way) == 0;
    return each.stream->unsent() > 0 || (known && on_its_way > 0);
  });
}

void LoopCore::lingering_done(SocketStream& stream) {
  defer([this, socket = &stream] { drop_lingering(socket); });
}

void LoopCore::drop_lingering(const Stream* stream) {
  const auto at = std::find_if(lingering_.begin(), lingering_.end(),
                               [&](const Lingering& each) { return each.stream.get() == stream; });
  if (at == lingering_.end()) return;
  const auto closed = std::move(at->closed);
  lingering_.erase(at);
  if (closed) closed();
}

std::unique_ptr<Loop::Pending> LoopCore::connect(const std::string& host, std::uint16_t port,
                                                 Milliseconds timeout,
                                                 std::function<void(ConnectResult)> done) {
  return std::make_unique<Connecting>(*this, host, port, timeout, std::move(done));
}

}  // namespace hyperdrive::proxy::net
