#include "proxy/net/uring_loop.hpp"

#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "proxy/net/uring_endpoints.hpp"

namespace hyperdrive::proxy::net {
namespace {

constexpr unsigned kSubmissions = 1024;
constexpr unsigned kCompletions = 8192;

}  // namespace

core::Result<std::unique_ptr<Loop>> UringLoop::create() {
  auto loop = std::make_unique<UringLoop>();
  const int error = loop->set_up();
  if (error != 0) {
    return core::fail(std::string("io_uring is not available: ") + std::strerror(error),
                      "Set HYPERDRIVE_LOOP=epoll.");
  }
  return loop;
}

int UringLoop::set_up() {
  if (wake_fd() < 0) return EMFILE;
  io_uring_params params{};
  // R_DISABLED: the thread that first runs the loop, not the one that makes it, owns the ring.
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_COOP_TASKRUN | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_R_DISABLED | IORING_SETUP_CLAMP;
  params.cq_entries = kCompletions;
  const int result = ::io_uring_queue_init_params(kSubmissions, &ring_, &params);
  if (result != 0) return -result;
  ring_ready_ = true;
  constexpr unsigned kNeeded = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP;
  if ((params.features & kNeeded) != kNeeded) return ENOSYS;
  if (const int error = buffers_.set_up(ring_); error != 0) return error;
  wait_for_wake();
  return 0;
}

UringLoop::~UringLoop() {
  clear_lingering();
  detaching_.clear();
  for (Slot& slot : slots_) {
    if (slot.target == nullptr) continue;
    if (slot.kind == Kind::kStream) abandon(*static_cast<SocketStream*>(slot.target));
    if (slot.kind == Kind::kAccepting) static_cast<Accepting*>(slot.target)->abandon();
    if (slot.kind == Kind::kWatch) static_cast<WriteWatch*>(slot.target)->abandon();
  }
  if (ring_ready_) ::io_uring_queue_exit(&ring_);
}

// --- turns
// ------------------------------------------------------------------------------------------

void UringLoop::run() {
  // By hand: Debian's liburing 2.3 declares io_uring_enable_rings but does not export it.
  if (!enabled_) {
    ::syscall(__NR_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
  }
  enabled_ = true;
  running_ = true;
  read_clock();
  finish_turn();  // what was set up before run()
  while (goes_on()) {
    wait();
    woken();
    read_clock();
    settle();
    reap();
    finish_turn();
  }
  ::io_uring_submit(&ring_);
  settle();
  running_ = false;
}

void UringLoop::wait() {
  const auto sleep = prepare_to_sleep();
  // Errors (EINTR, a full completion queue) all mean the same: look what has arrived.
  if (sleep && sleep->count() == 0) {
    ::io_uring_submit_and_get_events(&ring_);
    return;
  }
  if (sleep) alarm_at(now() + *sleep);
  ::io_uring_submit_and_wait(&ring_, 1);
}

/// A time limit of the wait itself would be started and cancelled in every turn; one that rings too
/// early, because its timer has been moved, costs a turn now and then.
void UringLoop::alarm_at(TimePoint when) {
  if (alarm_ && *alarm_ <= when) return;
  const auto since = std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch());
  alarm_time_.tv_sec = since.count() / 1'000'000'000;
  alarm_time_.tv_nsec = since.count() % 1'000'000'000;
  if (alarm_) {
    io_uring_sqe* sqe = request(0, Op::kNone);
    ::io_uring_prep_timeout_update(sqe, &alarm_time_, static_cast<std::uint64_t>(Op::kAlarm),
                                   IORING_TIMEOUT_ABS);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  } else {
    ::io_uring_prep_timeout(request(0, Op::kAlarm), &alarm_time_, 0, IORING_TIMEOUT_ABS);
  }
  alarm_ = when;
}

void UringLoop::reap() {
  unsigned head;
  unsigned count = 0;
  io_uring_cqe* completion;
  if (::io_uring_cq_ready(&ring_) > 1) {
    io_uring_for_each_cqe(&ring_, head, completion) {
      if (!comes_first(*completion)) continue;
      complete(*completion);
      completion->user_data = static_cast<std::uint64_t>(Op::kNone);  // seen
    }
  }
  io_uring_for_each_cqe(&ring_, head, completion) {
    ++count;
    complete(*completion);
  }
  ::io_uring_cq_advance(&ring_, count);
  buffers_.publish();
}

/// All of a stream's receives are heard in one round, so that they stay in their order.
bool UringLoop::comes_first(const io_uring_cqe& completion) const {
  if (static_cast<Op>(completion.user_data & 0xff) != Op::kReceive) return false;
  const Slot& slot = slots_[static_cast<std::uint32_t>(completion.user_data >> 8)];
  return slot.kind == Kind::kStream && slot.target != nullptr &&
         static_cast<const SocketStream*>(slot.target)->first;
}

void UringLoop::complete(const io_uring_cqe& completion) {
  const auto index = static_cast<std::uint32_t>(completion.user_data >> 8);
  switch (static_cast<Op>(completion.user_data & 0xff)) {
    case Op::kReceive:
      return on_received(index, completion);
    case Op::kSend:
      return on_sent(index, completion.res);
    case Op::kAccept:
    case Op::kPoll: {
      Slot& slot = slots_[index];
      if ((completion.flags & IORING_CQE_F_MORE) == 0) slot.reading = false;
      if (slot.target == nullptr) {
        if (slot.kind == Kind::kAccepting && completion.res >= 0) ::close(completion.res);
        return free_if_done(index);
      }
      if (slot.kind == Kind::kWatch) return static_cast<WriteWatch*>(slot.target)->on_ready();
      return static_cast<Accepting*>(slot.target)->on_result(completion.res, slot.reading);
    }
    case Op::kWake:
      return wait_for_wake();
    case Op::kAlarm:
      alarm_.reset();
      return;
    case Op::kSendNow:
      return on_short_send(index, completion.res);
    case Op::kNone:
      return;
  }
}

// --- requests
// ---------------------------------------------------------------------------------------

io_uring_sqe* UringLoop::request(std::uint32_t slot, Op op) {
  io_uring_sqe* sqe = ::io_uring_get_sqe(&ring_);
  while (sqe == nullptr) {
    // The kernel takes none while it is short of memory: there is nothing else to do but ask again.
    if (::io_uring_submit(&ring_) <= 0) ::sched_yield();
    sqe = ::io_uring_get_sqe(&ring_);
  }
  sqe->user_data = (std::uint64_t{slot} << 8) | static_cast<std::uint64_t>(op);
  return sqe;
}

void UringLoop::wait_for_wake() {
  ::io_uring_prep_read(request(0, Op::kWake), wake_fd(), &wake_count_, sizeof wake_count_, 0);
}

/// The cancelled request still completes; nothing needs to be known about the cancelling itself.
void UringLoop::cancel(std::uint32_t slot, Op op) {
  if (!running_) return;
  io_uring_sqe* sqe = request(0, Op::kNone);
  ::io_uring_prep_cancel64(sqe, (std::uint64_t{slot} << 8) | static_cast<std::uint64_t>(op), 0);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

/// Requests of this socket that are still with the kernel would keep it open, so that closing comes
/// after their cancelling, in the same submission.
void UringLoop::close_after_requests(int fd) {
  if (!running_) {
    ::shutdown(fd, SHUT_RDWR);  // also ends the requests
    ::close(fd);
    return;
  }
  io_uring_sqe* sqe = request(0, Op::kNone);
  ::io_uring_prep_close(sqe, fd);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

// --- slots
// --------------------------------------------------------------------------------------------

std::uint32_t UringLoop::take_slot(Kind kind, void* target) {
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

void UringLoop::free_if_done(std::uint32_t index) {
  Slot& slot = slots_[index];
  const bool done = slot.target == nullptr && !slot.reading && !slot.sending;
  if (!done || slot.kind == Kind::kFree) return;
  slot.kind = Kind::kFree;
  slot.cancelling = slot.arrived = false;
  free_.push_back(index);
}

}  // namespace hyperdrive::proxy::net
