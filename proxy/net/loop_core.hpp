// What both backends share: timers, posted and deferred tasks, the queues of streams with
// something to do, and connecting. A backend adds waiting for the kernel and moving bytes.
//
// A turn: wait - events - timers - streams resumed or with more to read - posted tasks - deferred
// tasks - sends. Nothing of a turn is left when the loop goes to sleep.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>

#include "proxy/net/buffer.hpp"
#include "proxy/net/loop.hpp"
#include "proxy/net/socket_stream.hpp"
#include "proxy/net/timers.hpp"

namespace hyperdrive::proxy::net {

/// Streams waiting for one kind of work. A stream is in it once at most and may leave at any time.
class StreamQueue {
 public:
  explicit StreamQueue(std::uint8_t bit) : bit_(bit) {}
  void add(SocketStream& stream);
  void forget(SocketStream& stream);
  bool empty() const { return waiting_.empty(); }
  bool holds(const SocketStream& stream) const;
  /// Calls `work` for each stream that waits now; those added meanwhile stay for the next call.
  template <class Work>
  void run(Work work) {
    running_.swap(waiting_);
    for (std::size_t i = 0; i < running_.size(); ++i) {
      SocketStream* stream = running_[i];
      if (stream == nullptr) continue;
      running_[i] = nullptr;
      stream->queued &= static_cast<std::uint8_t>(~bit_);
      work(*stream);
    }
    running_.clear();
  }

 private:
  std::uint8_t bit_;
  std::vector<SocketStream*> waiting_;
  std::vector<SocketStream*> running_;
};

/// Waits once for a descriptor to become writable; destroying it gives up.
class Watch {
 public:
  virtual ~Watch() = default;
};

class LoopCore : public Loop {
 public:
  LoopCore();
  LoopCore(const LoopCore&) = delete;
  LoopCore& operator=(const LoopCore&) = delete;
  ~LoopCore() override;

  void stop() override;
  void post(std::function<void()> task) override;
  void defer(std::function<void()> task) override;
  TimePoint now() const override { return now_; }
  std::unique_ptr<Timer> timer(std::function<void()> on_fire) override;
  std::unique_ptr<Stream> adopt(int fd) override;
  std::unique_ptr<Pending> connect(const std::string& host, std::uint16_t port,
                                   Milliseconds timeout,
                                   std::function<void(ConnectResult)> done) override;
  void close_later(std::unique_ptr<Stream> stream, Milliseconds patience,
                   std::function<void()> closed) override;
  void attach(Stream& stream) override;

  /// Takes over a connected socket in blocking mode.
  std::unique_ptr<Stream> adopt_ready(int fd);

  // --- for streams
  // --------------------------------------------------------------------------------
  void output_waits(SocketStream& stream) { to_send_.add(stream); }
  void work_waits(SocketStream& stream) { to_work_.add(stream); }
  bool has_work(const SocketStream& stream) const { return to_work_.holds(stream); }
  void drain_waits(SocketStream& stream) { to_drain_.add(stream); }
  /// The stream is being destroyed: forgets it and closes its socket.
  void forget(SocketStream& stream);
  /// A finishing stream's peer is gone too.
  void lingering_done(SocketStream& stream);
  bool owes_bytes() const override;
  BlockPool& pool() { return pool_; }
  /// Room for decrypted bytes, kHeadroom writable bytes in front.
  char* plain_buffer() { return plain_.get() + kHeadroom; }

  static constexpr std::size_t kHeadroom = 1024;
  static constexpr std::size_t kPlain = 64 * 1024;

  virtual std::unique_ptr<Watch> watch_writable(int fd, std::function<void()> on_writable) = 0;

 protected:
  /// Starts receiving; sets stream.slot.
  virtual void arm(SocketStream& stream) = 0;
  /// The stream is going away: give up its slot and close `fd`.
  virtual void release(SocketStream& stream, int fd) = 0;
  virtual void send(SocketStream& stream) = 0;
  /// Kept bytes were presented after resume_reading(): read on.
  virtual void read_on(SocketStream& stream) = 0;
  /// False once after stop().
  bool goes_on();
  /// Reads the clock; once per wake-up.
  void read_clock() { now_ = std::chrono::steady_clock::now(); }
  void finish_turn();
  /// How long the loop may sleep: nullopt without end. Marks the loop as asleep.
  std::optional<std::chrono::nanoseconds> prepare_to_sleep();
  void woken() { asleep_.store(false, std::memory_order_relaxed); }
  int wake_fd() const { return wake_fd_; }
  /// Takes streams that outlive the loop off it.
  void abandon(SocketStream& stream) { stream.move_to(nullptr); }
  void clear_lingering() { lingering_.clear(); }
  /// Common end of detach(): hands the stream out, or drops it if something arrived.
  void hand_over(std::unique_ptr<Stream> stream, std::function<void(std::unique_ptr<Stream>)> done);

 private:
  struct Lingering {
    std::unique_ptr<Stream> stream;
    std::unique_ptr<Timer> patience;
    std::function<void()> closed;
  };

  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }
  void wake();
  void leave_queues(SocketStream& stream);
  void run_posted();
  void run_deferred();
  void send_all();
  void drop_lingering(const Stream* stream);

  TimePoint now_;
  TimerHeap timers_{now_};
  BlockPool pool_;
  std::unique_ptr<char[]> plain_;
  StreamQueue to_send_{1};
  StreamQueue to_work_{2};
  StreamQueue to_drain_{4};
  std::vector<std::function<void()>> deferred_;
  std::vector<Lingering> lingering_;

  int wake_fd_;  // an eventfd the backend waits for
  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
  std::atomic<bool> has_posted_{false};
  std::atomic<bool> asleep_{false};
  std::atomic<bool> stopping_{false};
};

}  // namespace hyperdrive::proxy::net
