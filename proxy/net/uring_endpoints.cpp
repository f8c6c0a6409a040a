#include "proxy/net/uring_endpoints.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "proxy/net/sockets.hpp"

namespace hyperdrive::proxy::net {
namespace {

constexpr Milliseconds kAcceptBackOff{100};

}  // namespace

UringLoop::Accepting::Accepting(UringLoop* loop, int fd,
                                std::function<void(std::unique_ptr<Stream>)> on_accept)
    : loop_(loop),
      fd_(fd),
      on_accept_(std::move(on_accept)),
      pause_(loop->timer([this] { arm(); })),
      slot_(loop->take_slot(Kind::kAccepting, this)) {
  arm();
}

UringLoop::Accepting::~Accepting() {
  if (alive_ != nullptr) *alive_ = false;
  if (loop_ == nullptr) {
    ::close(fd_);
    return;
  }
  Slot& slot = loop_->slots_[slot_];
  slot.target = nullptr;
  if (slot.reading) loop_->cancel(slot_, Op::kAccept);
  loop_->close_after_requests(fd_);
  loop_->free_if_done(slot_);
}

void UringLoop::Accepting::arm() {
  io_uring_sqe* sqe = loop_->request(slot_, Op::kAccept);
  // Not multishot: that keeps its place at the head of the socket's queue of those who wait, and
  // one of several loops would get every client.
  ::io_uring_prep_accept(sqe, fd_, nullptr, nullptr, SOCK_CLOEXEC);
  loop_->slots_[slot_].reading = true;
}

void UringLoop::Accepting::on_result(int result, bool armed) {
  if (result >= 0) {
    // on_accept may destroy this listener.
    bool alive = true;
    alive_ = &alive;
    auto on_accept = std::move(on_accept_);
    on_accept(loop_->adopt_ready(result));
    if (!alive) return;
    alive_ = nullptr;
    on_accept_ = std::move(on_accept);
  }
  if (armed) return;
  // Out of descriptors (or memory): the connection stays in the backlog, asking at once would spin.
  const bool transient = result >= 0 || result == -ECONNABORTED || result == -EINTR;
  if (transient) {
    arm();
  } else {
    pause_->arm(kAcceptBackOff);
  }
}

std::unique_ptr<Listener> UringLoop::listen(
    int fd, std::function<void(std::unique_ptr<Stream>)> on_accept) {
  set_stream_options(fd);
  // io_uring fails requests on non-blocking sockets with EAGAIN instead of waiting for them.
  int off = 0;
  ::ioctl(fd, FIONBIO, &off);
  return std::make_unique<Accepting>(this, fd, std::move(on_accept));
}

UringLoop::WriteWatch::WriteWatch(UringLoop* loop, int fd, std::function<void()> on_writable)
    : loop_(loop),
      on_writable_(std::move(on_writable)),
      slot_(loop->take_slot(Kind::kWatch, this)) {
  io_uring_sqe* sqe = loop->request(slot_, Op::kPoll);
  ::io_uring_prep_poll_add(sqe, fd, POLLOUT);
  loop->slots_[slot_].reading = true;
}

UringLoop::WriteWatch::~WriteWatch() {
  if (loop_ == nullptr) return;
  Slot& slot = loop_->slots_[slot_];
  slot.target = nullptr;
  if (slot.reading) loop_->cancel(slot_, Op::kPoll);
  loop_->free_if_done(slot_);
}

void UringLoop::WriteWatch::on_ready() {
  const auto on_writable = std::move(on_writable_);
  if (on_writable) on_writable();  // may destroy this watch
}

std::unique_ptr<Watch> UringLoop::watch_writable(int fd, std::function<void()> on_writable) {
  return std::make_unique<WriteWatch>(this, fd, std::move(on_writable));
}

}  // namespace hyperdrive::proxy::net
