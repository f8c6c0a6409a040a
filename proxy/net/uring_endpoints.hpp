// The io_uring backend's listener and one-shot watch.
#pragma once

#include "proxy/net/uring_loop.hpp"

namespace hyperdrive::proxy::net {

class UringLoop::Accepting final : public Listener {
 public:
  Accepting(UringLoop* loop, int fd, std::function<void(std::unique_ptr<Stream>)> on_accept);
  Accepting(const Accepting&) = delete;
  Accepting& operator=(const Accepting&) = delete;
  ~Accepting() override;

  int fd() const override { return fd_; }
  /// A connection or an error number; `armed` tells whether more will come by themselves.
  void on_result(int result, bool armed);
  void abandon() { loop_ = nullptr; }

 private:
  void arm();

  UringLoop* loop_;
  int fd_;
  std::function<void(std::unique_ptr<Stream>)> on_accept_;
  std::unique_ptr<Timer> pause_;
  std::uint32_t slot_ = 0;
  bool* alive_ = nullptr;
};

class UringLoop::WriteWatch final : public Watch {
 public:
  WriteWatch(UringLoop* loop, int fd, std::function<void()> on_writable);
  WriteWatch(const WriteWatch&) = delete;
  WriteWatch& operator=(const WriteWatch&) = delete;
  ~WriteWatch() override;

  void on_ready();
  void abandon() { loop_ = nullptr; }

 private:
  UringLoop* loop_;
  std::function<void()> on_writable_;
  std::uint32_t slot_ = 0;
};

}  // namespace hyperdrive::proxy::net
