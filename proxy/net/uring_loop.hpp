// The io_uring backend: one multishot receive for each socket, one accept at a time for each
// listener, sends as requests, and one system call a turn that submits, waits and reaps.
//
// Every request carries the slot of what it belongs to. A slot outlives its stream until the kernel
// has completed all its requests, and keeps a send's bytes alive for so long.
//
// A send is tried once without waiting, and the kernel is asked to report it only if it could not
// take all bytes. Such a send is over when its submission returns, so silence means success: no
// completion to wake up for, no system call but one a turn. What was left is then sent by a second
// request that waits for room.
//
// Timers: one timeout request is with the kernel, for the next timer or an earlier time.
// The ring accepts requests from one thread: the first that calls run().
#pragma once

#include <liburing.h>

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "proxy/net/loop_core.hpp"
#include "proxy/net/provided_buffers.hpp"

namespace hyperdrive::proxy::net {

class UringLoop final : public LoopCore {
 public:
  /// Fails where the kernel is too old or a seccomp filter forbids io_uring.
  static core::Result<std::unique_ptr<Loop>> create();
  UringLoop() = default;
  ~UringLoop() override;

  Backend backend() const override { return Backend::kIoUring; }
  void run() override;
  std::unique_ptr<Listener> listen(int fd,
                                   std::function<void(std::unique_ptr<Stream>)> on_accept) override;
  void detach(std::unique_ptr<Stream> stream,
              std::function<void(std::unique_ptr<Stream>)> done) override;
  std::unique_ptr<Watch> watch_writable(int fd, std::function<void()> on_writable) override;

 protected:
  void arm(SocketStream& stream) override;
  void release(SocketStream& stream, int fd) override;
  void send(SocketStream& stream) override;
  void read_on(SocketStream& stream) override;

 private:
  class Accepting;
  class WriteWatch;

  /// What a completion is for; the low bits of its user data.
  enum class Op : std::uint8_t { kNone, kReceive, kSend, kSendNow, kAccept, kPoll, kWake, kAlarm };
  enum class Kind : std::uint8_t { kFree, kStream, kAccepting, kWatch };
  struct Slot {
    void* target = nullptr;  // null once the owner has gone
    Kind kind = Kind::kFree;
    bool reading = false;  // a receive, accept or poll is with the kernel
    bool sending = false;
    bool immediate = false;   // the send is one that cannot outlast its submission
    bool cancelling = false;  // the reading request has been asked to end
    bool arrived = false;     // something came while the stream was being detached
    Buffer orphan;            // bytes of a send that outlives its stream
  };
  struct Detaching {
    std::unique_ptr<Stream> stream;
    std::function<void(std::unique_ptr<Stream>)> done;
  };

  int set_up();
  void wait();
  void alarm_at(TimePoint when);
  void reap();
  void complete(const io_uring_cqe& completion);
  bool comes_first(const io_uring_cqe& completion) const;
  void on_received(std::uint32_t index, const io_uring_cqe& completion);
  void on_bytes(std::uint32_t index, char* bytes, int size);
  void on_receive_ended(SocketStream& stream, int result);
  void on_sent(std::uint32_t index, int result);
  void on_short_send(std::uint32_t index, int result);
  void settle();
  void wait_for_wake();

  io_uring_sqe* request(std::uint32_t slot, Op op);
  void receive(SocketStream& stream);
  void cancel(std::uint32_t slot, Op op);
  void close_after_requests(int fd);
  std::uint32_t take_slot(Kind kind, void* target);
  void free_if_done(std::uint32_t index);
  void detached(std::uint32_t index);

  /// A paused stream stops receiving once it keeps this much.
  static constexpr std::size_t kPausedLimit = 64 * 1024;
  /// No send is larger, so that a slow reader's progress shows.
  static constexpr std::size_t kSendLimit = 128 * 1024;

  io_uring ring_{};
  bool ring_ready_ = false;
  bool enabled_ = false;
  bool running_ = false;
  std::uint64_t wake_count_ = 0;
  std::optional<TimePoint> alarm_;  // when the kernel wakes us at the latest
  __kernel_timespec alarm_time_{};  // read when it is submitted
  ProvidedBuffers buffers_;
  std::deque<Slot> slots_;  // stable addresses: handlers add slots
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> immediate_;  // slots with an immediate send since the last submission
  std::vector<Detaching> detaching_;
};

}  // namespace hyperdrive::proxy::net
