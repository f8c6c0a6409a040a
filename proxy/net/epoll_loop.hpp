// The epoll backend: each socket is registered once, edge-triggered; one read buffer for all.
//
// A read that comes back short is the last one: newer bytes raise a new edge. A full one is
// repeated in the next round, so that a flooding socket gets one buffer per round like all others.
#pragma once

#include <memory>
#include <vector>

#include "proxy/net/loop_core.hpp"

namespace hyperdrive::proxy::net {

class EpollLoop final : public LoopCore {
 public:
  static core::Result<std::unique_ptr<Loop>> create();
  explicit EpollLoop(int epoll_fd);
  ~EpollLoop() override;

  Backend backend() const override { return Backend::kEpoll; }
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

  enum class Kind : std::uint8_t { kFree, kWake, kStream, kAccepting, kWatch };
  /// What a registered descriptor stands for. The generation tells an event for an earlier user of
  /// the slot (both may be in one batch of events) from one for the present user.
  struct Slot {
    void* target = nullptr;
    std::uint32_t generation = 0;
    Kind kind = Kind::kFree;
  };

  std::uint32_t take_slot(Kind kind, void* target);
  void free_slot(std::uint32_t index);
  bool add(int fd, std::uint32_t events, std::uint32_t slot);
  bool comes_first(std::uint64_t tag) const;
  void dispatch(std::uint64_t tag, std::uint32_t events);
  void on_stream(SocketStream& stream, std::uint32_t events);
  void read(SocketStream& stream);
  void look_for_end(SocketStream& stream);

  static constexpr std::size_t kReadBuffer = 64 * 1024;

  int epoll_fd_;
  std::unique_ptr<char[]> buffer_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace hyperdrive::proxy::net
