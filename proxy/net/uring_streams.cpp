#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "proxy/net/uring_loop.hpp"

namespace hyperdrive::proxy::net {
namespace {

/// A request's length and result have 32 bits.
int immediate_size(const SocketStream& stream) {
  constexpr std::size_t kMost = 1 << 30;
  return static_cast<int>(std::min(stream.in_flight.size(), kMost));
}

}  // namespace

// --- life and death of a stream's slot
// ----------------------------------------------------------------

void UringLoop::arm(SocketStream& stream) {
  stream.slot = take_slot(Kind::kStream, &stream);
  stream.blocked = false;
  receive(stream);
}

void UringLoop::release(SocketStream& stream, int fd) {
  const std::uint32_t index = stream.slot;
  Slot& slot = slots_[index];
  slot.target = nullptr;
  if (slot.sending) {
    slot.orphan.swap(stream.in_flight);
    cancel(index, Op::kSend);
  } else {
    stream.in_flight.release(pool());
  }
  if (slot.reading && !slot.cancelling) cancel(index, Op::kReceive);
  close_after_requests(fd);
  free_if_done(index);
}

void UringLoop::detach(std::unique_ptr<Stream> stream,
                       std::function<void(std::unique_ptr<Stream>)> done) {
  auto& socket = static_cast<SocketStream&>(*stream);
  const std::uint32_t index = socket.slot;
  Slot& slot = slots_[index];
  socket.detaching = true;
  slot.arrived = false;
  detaching_.push_back({std::move(stream), std::move(done)});
  if (slot.reading && !slot.cancelling) {
    slot.cancelling = true;
    cancel(index, Op::kReceive);
  }
  detached(index);
}

/// Hands a detaching stream out as soon as the kernel holds nothing of it.
void UringLoop::detached(std::uint32_t index) {
  Slot& slot = slots_[index];
  if (slot.reading || slot.sending) return;
  const auto at = std::find_if(detaching_.begin(), detaching_.end(), [&](const Detaching& each) {
    return each.stream.get() == slot.target;
  });
  if (at == detaching_.end()) return;
  auto kept = std::make_shared<Detaching>(std::move(*at));
  detaching_.erase(at);
  // Later in this turn, so that `done` is never called from within detach().
  defer([this, kept, index] {
    Slot& slot = slots_[index];
    auto& socket = static_cast<SocketStream&>(*kept->stream);
    if (slot.arrived) {
      kept->stream.reset();
      return kept->done(nullptr);
    }
    slot.target = nullptr;
    free_if_done(index);
    socket.detaching = false;
    hand_over(std::move(kept->stream), kept->done);
  });
}

// --- receiving
// ----------------------------------------------------------------------------------------

void UringLoop::receive(SocketStream& stream) {
  io_uring_sqe* sqe = request(stream.slot, Op::kReceive);
  ::io_uring_prep_recv_multishot(sqe, stream.fd(), nullptr, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = ProvidedBuffers::kGroup;
  slots_[stream.slot].reading = true;
}

void UringLoop::on_received(std::uint32_t index, const io_uring_cqe& completion) {
  Slot& slot = slots_[index];
  if ((completion.flags & IORING_CQE_F_MORE) == 0) {
    slot.reading = false;
    slot.cancelling = false;
  }
  if ((completion.flags & IORING_CQE_F_BUFFER) != 0) {
    const auto id = static_cast<std::uint16_t>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
    if (completion.res > 0) on_bytes(index, buffers_.at(id), completion.res);
    buffers_.give_back(id);
  } else if (completion.res == -ENOBUFS) {
    buffers_.grow();
  }
  if (slot.target == nullptr) return free_if_done(index);
  auto& stream = *static_cast<SocketStream*>(slot.target);
  if (slot.reading) return;
  if (!stream.detaching) return on_receive_ended(stream, completion.res);
  const bool ended = completion.res == 0 || (completion.res < 0 && completion.res != -ECANCELED &&
                                             completion.res != -ENOBUFS);
  if (ended) slot.arrived = true;
  detached(index);
}

void UringLoop::on_bytes(std::uint32_t index, char* bytes, int size) {
  Slot& slot = slots_[index];
  if (slot.target == nullptr) return;
  auto& stream = *static_cast<SocketStream*>(slot.target);
  if (stream.detaching) {
    slot.arrived = true;
    return;
  }
  if (!stream.received(bytes, static_cast<std::size_t>(size), kHeadroom)) return;
  const bool full = !stream.accepts_data() && stream.unread() > kPausedLimit;
  if (full && slot.reading && !slot.cancelling) {
    slot.cancelling = true;
    cancel(index, Op::kReceive);
  }
}

/// A multishot receive is over: because the connection is, or for a passing reason.
void UringLoop::on_receive_ended(SocketStream& stream, int result) {
  const bool passing = result > 0 || result == -ENOBUFS || result == -ECANCELED ||
                       result == -EINTR || result == -EAGAIN;
  if (passing) return read_on(stream);
  if (result == 0) {
    stream.peer_closed(CloseReason::kEof, 0);
  } else {
    stream.peer_closed(CloseReason::kReset, -result);
  }
}

void UringLoop::read_on(SocketStream& stream) {
  // What is being handed to another loop must not leave a receive behind in this one.
  if (stream.detaching) return;
  if (stream.closed() || stream.unused_end() || slots_[stream.slot].reading) return;
  if (stream.broken()) {
    stream.peer_closed(CloseReason::kReset, 0);
  } else if (stream.accepts_data() || stream.unread() <= kPausedLimit) {
    receive(stream);
  }
}

// --- sending
// ------------------------------------------------------------------------------------------

void UringLoop::send(SocketStream& stream) {
  Slot& slot = slots_[stream.slot];
  if (slot.sending || stream.broken() || stream.detaching) return;
  if (stream.in_flight.empty()) {
    stream.prepare_output();
    stream.in_flight.swap(stream.out);
  }
  if (!stream.in_flight.empty()) {
    slot.sending = true;
    slot.immediate = !stream.blocked;
    if (slot.immediate) {
      immediate_.push_back(stream.slot);
      io_uring_sqe* sqe = request(stream.slot, Op::kSendNow);
      ::io_uring_prep_send(sqe, stream.fd(), stream.in_flight.data(),
                           static_cast<std::size_t>(immediate_size(stream)),
                           MSG_NOSIGNAL | MSG_DONTWAIT | MSG_WAITALL);
      sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    } else {
      const std::size_t size = std::min(stream.in_flight.size(), kSendLimit);
      ::io_uring_prep_send(request(stream.slot, Op::kSend), stream.fd(), stream.in_flight.data(),
                           size, MSG_NOSIGNAL | MSG_WAITALL);
    }
  } else if (stream.finishing() && !stream.shut) {
    stream.shut = true;
    ::shutdown(stream.fd(), SHUT_WR);
    stream.output_done();
  }
}

/// After a submission: tells the immediate sends that succeeded from those reported as short.
void UringLoop::settle() {
  // What the kernel has not taken yet (it was short of memory) is not over; nor is it known of what
  // it has no room to tell.
  if (immediate_.empty() || ::io_uring_sq_ready(&ring_) != 0) return;
  if (::io_uring_cq_has_overflow(&ring_)) return;
  unsigned head;
  io_uring_cqe* completion;
  io_uring_for_each_cqe(&ring_, head, completion) {
    if (static_cast<Op>(completion->user_data & 0xff) != Op::kSendNow) continue;
    on_short_send(static_cast<std::uint32_t>(completion->user_data >> 8), completion->res);
  }
  for (const std::uint32_t index : immediate_) {
    Slot& slot = slots_[index];
    if (!slot.immediate) continue;
    slot.immediate = false;
    const auto* stream = static_cast<SocketStream*>(slot.target);
    on_sent(index, stream == nullptr ? 0 : immediate_size(*stream));
  }
  immediate_.clear();
}

void UringLoop::on_short_send(std::uint32_t index, int result) {
  Slot& slot = slots_[index];
  if (!slot.immediate) return;  // seen before
  slot.immediate = false;
  if (slot.target != nullptr) static_cast<SocketStream*>(slot.target)->blocked = true;
  on_sent(index, result);
}

void UringLoop::on_sent(std::uint32_t index, int result) {
  Slot& slot = slots_[index];
  slot.sending = false;
  if (slot.target == nullptr) {
    slot.orphan.release(pool());
    return free_if_done(index);
  }
  auto& stream = *static_cast<SocketStream*>(slot.target);
  if (result < 0 && result != -EINTR && result != -EAGAIN) {
    stream.in_flight.release(pool());
    stream.sending_failed(-result);
  } else {
    const std::size_t size = result > 0 ? static_cast<std::size_t>(result) : 0;
    stream.in_flight.consume(size);
    if (stream.in_flight.empty()) {
      stream.in_flight.release(pool());
      stream.blocked = false;
    }
    stream.sent(size);
    if (stream.unsent() != 0 || stream.finishing()) output_waits(stream);
  }
  if (stream.detaching) detached(index);
}

}  // namespace hyperdrive::proxy::net
