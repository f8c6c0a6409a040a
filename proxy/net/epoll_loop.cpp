#include "proxy/net/epoll_loop.hpp"

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "proxy/net/sockets.hpp"

namespace hyperdrive::proxy::net {
namespace {

constexpr int kEvents = 256;
constexpr Milliseconds kAcceptBackOff{100};
constexpr std::uint32_t kStreamEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

bool out_of_descriptors(int error_number) {
  return error_number == EMFILE || error_number == ENFILE || error_number == ENOBUFS ||
         error_number == ENOMEM;
}

}  // namespace

/// Level-triggered, one connection a turn: with several loops on one socket they share the work.
class EpollLoop::Accepting final : public Listener {
 public:
  Accepting(EpollLoop* loop, int fd, std::function<void(std::unique_ptr<Stream>)> on_accept)
      : loop_(loop),
        fd_(fd),
        on_accept_(std::move(on_accept)),
        pause_(loop->timer([this] { watch(); })) {
    slot_ = loop->take_slot(Kind::kAccepting, this);
    watch();
  }

  ~Accepting() override {
    if (alive_ != nullptr) *alive_ = false;
    if (loop_ != nullptr) loop_->free_slot(slot_);
    ::close(fd_);
  }

  int fd() const override { return fd_; }

  void on_ready() {
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) {
      // on_accept may destroy this listener.
      bool alive = true;
      alive_ = &alive;
      auto on_accept = std::move(on_accept_);
      on_accept(loop_->adopt_ready(fd));
      if (!alive) return;
      alive_ = nullptr;
      on_accept_ = std::move(on_accept);
      // To the end of the queue of those who wait on the socket: or one loop would get all clients
      // that come one after the other.
      ::epoll_ctl(loop_->epoll_fd_, EPOLL_CTL_DEL, fd_, nullptr);
      watch();
    } else if (out_of_descriptors(errno)) {
      // The connection stays in the backlog; asking again at once would spin.
      ::epoll_ctl(loop_->epoll_fd_, EPOLL_CTL_DEL, fd_, nullptr);
      pause_->arm(kAcceptBackOff);
    }
  }

  void abandon() { loop_ = nullptr; }

 private:
  void watch() {
    if (!loop_->add(fd_, EPOLLIN | EPOLLEXCLUSIVE, slot_)) pause_->arm(kAcceptBackOff);
  }

  EpollLoop* loop_;
  int fd_;
  std::function<void(std::unique_ptr<Stream>)> on_accept_;
  std::unique_ptr<Timer> pause_;
  std::uint32_t slot_ = 0;
  bool* alive_ = nullptr;
};

class EpollLoop::WriteWatch final : public Watch {
 public:
  WriteWatch(EpollLoop* loop, int fd, std::function<void()> on_writable)
      : loop_(loop), fd_(fd), on_writable_(std::move(on_writable)) {
    slot_ = loop->take_slot(Kind::kWatch, this);
    loop->add(fd, EPOLLOUT | EPOLLONESHOT, slot_);
  }

  ~WriteWatch() override {
    if (loop_ == nullptr) return;
    ::epoll_ctl(loop_->epoll_fd_, EPOLL_CTL_DEL, fd_, nullptr);
    loop_->free_slot(slot_);
  }

  void on_ready() {
    const auto on_writable = std::move(on_writable_);
    if (on_writable) on_writable();  // may destroy this watch
  }

  void abandon() { loop_ = nullptr; }

 private:
  EpollLoop* loop_;
  int fd_;
  std::function<void()> on_writable_;
  std::uint32_t slot_ = 0;
};

// --- the loop
// ---------------------------------------------------------------------------------------

core::Result<std::unique_ptr<Loop>> EpollLoop::create() {
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) {
    return core::fail(std::string("Cannot create an epoll descriptor: ") + std::strerror(errno),
                      "Raise the limit of open files (ulimit -n).");
  }
  auto loop = std::make_unique<EpollLoop>(fd);
  if (loop->wake_fd() < 0) {
    return core::fail("Cannot create an eventfd for the event loop",
                      "Raise the limit of open files (ulimit -n).");
  }
  return loop;
}

EpollLoop::EpollLoop(int epoll_fd)
    : epoll_fd_(epoll_fd), buffer_(new char[kHeadroom + kReadBuffer]) {
  add(wake_fd(), EPOLLIN | EPOLLET, take_slot(Kind::kWake, nullptr));
}

EpollLoop::~EpollLoop() {
  clear_lingering();
  for (const Slot& slot : slots_) {
    if (slot.kind == Kind::kStream) abandon(*static_cast<SocketStream*>(slot.target));
    if (slot.kind == Kind::kAccepting) static_cast<Accepting*>(slot.target)->abandon();
    if (slot.kind == Kind::kWatch) static_cast<WriteWatch*>(slot.target)->abandon();
  }
  ::close(epoll_fd_);
}

void EpollLoop::run() {
  std::array<epoll_event, kEvents> events;
  read_clock();
  finish_turn();  // what was set up before run()
  while (goes_on()) {
    int timeout = -1;
    if (const auto sleep = prepare_to_sleep()) {
      timeout = static_cast<int>(std::chrono::ceil<Milliseconds>(*sleep).count());
    }
    const int count = ::epoll_wait(epoll_fd_, events.data(), kEvents, timeout);
    woken();
    read_clock();
    for (int i = 0; i < count && count > 1; ++i) {
      const epoll_event event = events[i];
      if (!comes_first(event.data.u64)) continue;
      events[i].events = 0;
      dispatch(event.data.u64, event.events);
    }
    for (int i = 0; i < count; ++i) {
      if (events[i].events != 0) dispatch(events[i].data.u64, events[i].events);
    }
    finish_turn();
  }
}

std::uint32_t EpollLoop::take_slot(Kind kind, void* target) {
  std::uint32_t index;
  if (free_.empty()) {
    index = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  slots_[index].kind = kind;
  slots_[index].target = target;
  return index;
}

void EpollLoop::free_slot(std::uint32_t index) {
  slots_[index] = {nullptr, slots_[index].generation + 1, Kind::kFree};
  free_.push_back(index);
}

bool EpollLoop::add(int fd, std::uint32_t events, std::uint32_t slot) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = (std::uint64_t{slots_[slot].generation} << 32) | slot;
  return ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0;
}

bool EpollLoop::comes_first(std::uint64_t tag) const {
  const Slot& slot = slots_[static_cast<std::uint32_t>(tag)];
  return slot.kind == Kind::kStream && slot.generation == static_cast<std::uint32_t>(tag >> 32) &&
         static_cast<const SocketStream*>(slot.target)->first;
}

void EpollLoop::dispatch(std::uint64_t tag, std::uint32_t events) {
  const Slot slot = slots_[static_cast<std::uint32_t>(tag)];
  if (slot.generation != static_cast<std::uint32_t>(tag >> 32)) return;
  switch (slot.kind) {
    case Kind::kStream:
      return on_stream(*static_cast<SocketStream*>(slot.target), events);
    case Kind::kAccepting:
      return static_cast<Accepting*>(slot.target)->on_ready();
    case Kind::kWatch:
      return static_cast<WriteWatch*>(slot.target)->on_ready();
    case Kind::kWake: {
      std::uint64_t count;
      [[maybe_unused]] const auto size = ::read(wake_fd(), &count, sizeof count);
      return;
    }
    case Kind::kFree:
      return;
  }
}

std::unique_ptr<Listener> EpollLoop::listen(
    int fd, std::function<void(std::unique_ptr<Stream>)> on_accept) {
  set_stream_options(fd);
  int on = 1;
  ::ioctl(fd, FIONBIO, &on);
  return std::make_unique<Accepting>(this, fd, std::move(on_accept));
}

std::unique_ptr<Watch> EpollLoop::watch_writable(int fd, std::function<void()> on_writable) {
  return std::make_unique<WriteWatch>(this, fd, std::move(on_writable));
}

// --- streams
// ----------------------------------------------------------------------------------------

void EpollLoop::arm(SocketStream& stream) {
  stream.slot = take_slot(Kind::kStream, &stream);
  stream.readable = stream.hangup = stream.blocked = false;
  if (!add(stream.fd(), kStreamEvents, stream.slot)) stream.sending_failed(errno);
}

void EpollLoop::release(SocketStream& stream, int fd) {
  free_slot(stream.slot);
  ::close(fd);  // which also removes it from the epoll set
}

void EpollLoop::detach(std::unique_ptr<Stream> stream,
                       std::function<void(std::unique_ptr<Stream>)> done) {
  auto& socket = static_cast<SocketStream&>(*stream);
  socket.detaching = true;
  // std::function wants something copyable; the loop's end frees the stream if the task never runs.
  auto kept = std::make_shared<std::unique_ptr<Stream>>(std::move(stream));
  defer([this, kept, done = std::move(done)] {
    auto& socket = static_cast<SocketStream&>(**kept);
    ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, socket.fd(), nullptr);
    free_slot(socket.slot);
    socket.detaching = false;
    hand_over(std::move(*kept), done);
  });
}

void EpollLoop::on_stream(SocketStream& stream, std::uint32_t events) {
  if ((events & EPOLLOUT) != 0 && stream.blocked) {
    stream.blocked = false;
    output_waits(stream);
  }
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0) return;
  if ((events & EPOLLERR) != 0 && !stream.accepts_data()) {
    // A reset is told at once, even before bytes that a paused stream has not read.
    int error_number = 0;
    socklen_t size = sizeof error_number;
    ::getsockopt(stream.fd(), SOL_SOCKET, SO_ERROR, &error_number, &size);
    if (error_number != 0) {
      stream.peer_closed(CloseReason::kReset, error_number);
      return;
    }
  }
  stream.readable = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) stream.hangup = true;
  read(stream);
}

void EpollLoop::read_on(SocketStream& stream) {
  if (stream.readable || stream.broken()) read(stream);
}

void EpollLoop::read(SocketStream& stream) {
  if (stream.detaching || stream.closed()) return;
  if (!stream.accepts_data()) {
    if (stream.hangup && stream.unread() == 0) look_for_end(stream);
    return;
  }
  ssize_t size;
  do {
    size = ::recv(stream.fd(), buffer_.get() + kHeadroom, kReadBuffer, MSG_DONTWAIT);
  } while (size < 0 && errno == EINTR);
  if (size > 0) {
    stream.readable = stream.hangup || size == static_cast<ssize_t>(kReadBuffer);
    const bool more = stream.readable;
    if (stream.received(buffer_.get() + kHeadroom, static_cast<std::size_t>(size), kHeadroom) &&
        more) {
      work_waits(stream);
    }
    return;
  }
  stream.readable = false;
  if (size == 0) {
    stream.peer_closed(CloseReason::kEof, 0);
  } else if (errno != EAGAIN || stream.broken()) {
    stream.peer_closed(CloseReason::kReset, errno == EAGAIN ? 0 : errno);
  }
}

/// A paused stream's peer has gone: tell at once, unless bytes to be read come first.
void EpollLoop::look_for_end(SocketStream& stream) {
  char byte;
  const auto waiting = ::recv(stream.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (waiting == 0) {
    stream.peer_closed(CloseReason::kEof, 0);
  } else if (waiting < 0 && errno != EAGAIN && errno != EINTR) {
    stream.peer_closed(CloseReason::kReset, errno);
  }
}

void EpollLoop::send(SocketStream& stream) {
  if (stream.blocked || stream.broken()) return;
  stream.prepare_output();
  if (!stream.out.empty()) {
    ssize_t size;
    do {
      size = ::send(stream.fd(), stream.out.data(), stream.out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (size < 0 && errno == EINTR);
    if (size < 0 && errno != EAGAIN) return stream.sending_failed(errno);
    if (size > 0) stream.out.consume(static_cast<std::size_t>(size));
    stream.blocked = !stream.out.empty();
    if (!stream.blocked) stream.out.release(pool());
    stream.sent(size > 0 ? static_cast<std::size_t>(size) : 0);
    if (stream.blocked) return;
  }
  if (stream.finishing() && !stream.shut) {
    stream.shut = true;
    ::shutdown(stream.fd(), SHUT_WR);
    stream.output_done();
  }
}

}  // namespace hyperdrive::proxy::net
