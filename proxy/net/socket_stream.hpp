// The one concrete Stream: what both backends share. A backend moves bytes between the socket and
// this object; all rules of the Stream and StreamHandler interfaces are kept here.
//
// The backend calls `received`, `peer_closed` and `sent` from the top of its turn, never from
// within a handler, and may find the stream destroyed afterwards (they return false).
// Loop thread only; between detach() and attach() the holder's thread.
#pragma once

#include <cstdint>

#include "proxy/net/buffer.hpp"
#include "proxy/net/stream.hpp"

namespace hyperdrive::proxy::net {

class LoopCore;
class TlsSession;

class SocketStream final : public Stream {
 public:
  SocketStream(int fd, LoopCore* loop);
  SocketStream(const SocketStream&) = delete;
  SocketStream& operator=(const SocketStream&) = delete;
  ~SocketStream() override;

  void set_handler(StreamHandler* handler) override;
  void write(Bytes bytes) override;
  char* reserve(std::size_t size) override;
  std::size_t unsent() const override;
  std::chrono::steady_clock::time_point stalled_since() const override { return stalled_since_; }
  void pause_reading() override { paused_ = true; }
  void resume_reading() override;
  std::size_t unread() const override { return rest_.size(); }
  void finish() override;
  int fd() const override { return fd_; }
  Loop& loop() const override;
  std::string error() const override;
  bool is_tls() const override;
  std::string tls_server_end_point() const override;
  TlsInfo tls_info() const override;

  // --- for TLS ----------------------------------------------------------------------------------
  /// From now on bytes go through `session`. Bytes already read and unused make it fail.
  void start_tls(std::unique_ptr<TlsSession> session, Bytes already_read);

  // --- for the loop -----------------------------------------------------------------------------
  /// May on_data be called now?
  bool accepts_data() const { return (handler_ != nullptr && !paused_) || finishing_; }
  /// New bytes from the socket, with `headroom` writable bytes in front of them.
  bool received(char* data, std::size_t size, std::size_t headroom);
  /// The socket said end-of-file (kEof) or failed with `error_number`.
  bool peer_closed(CloseReason reason, int error_number);
  /// resume_reading() was asked for: presents kept bytes and a kept end-of-file.
  bool present_kept();
  /// `size` bytes of the output have left.
  void sent(std::size_t size);
  /// Sending failed: output is dropped; the reading side will tell why.
  void sending_failed(int error_number);
  /// A finishing stream has sent everything and shut its side.
  void output_done();
  /// Turns what was written into what is to be sent (TLS); at the end of a turn.
  void prepare_output();
  bool drained();

  bool closed() const { return closed_; }
  bool broken() const { return broken_; }
  bool finishing() const { return finishing_; }
  bool unused_end() const { return kept_end_; }
  void move_to(LoopCore* loop);
  LoopCore* core() const { return loop_; }
  BlockPool& pool();

  Buffer out;               ///< to be sent; the backend consumes it
  Buffer in_flight;         ///< io_uring: what the kernel is sending now
  std::uint32_t slot = 0;   ///< the backend's handle for this stream
  std::uint8_t queued = 0;  ///< which queues of the loop hold this stream (LoopCore::Queue)
  bool readable = false;    ///< epoll: bytes may be waiting in the socket
  bool hangup = false;      ///< epoll: the peer has ended its side, so read until end-of-file
  bool blocked = false;     ///< epoll: the socket is full, wait for EPOLLOUT
  bool receiving = false;   ///< io_uring: a multishot receive is armed
  bool first = false;       ///< its news are heard before others of the same turn (read_first.hpp)
  bool detaching = false;   ///< io_uring: waits for its receive to be cancelled
  bool shut = false;        ///< the sending side has been shut down

 private:
  Buffer& output();
  void after_write();
  bool present(char* data, std::size_t size, std::size_t headroom);
  bool present_rest();
  void after_data(std::size_t used);
  bool received_tls(Bytes cipher);
  bool read_decrypted();
  bool tls_failed();
  bool handshake();
  bool deliver_closed(CloseReason reason);

  int fd_;
  LoopCore* loop_;
  StreamHandler* handler_ = nullptr;
  bool* alive_ = nullptr;
  Buffer rest_;  // bytes the handler has not used up
  std::unique_ptr<TlsSession> tls_;
  /// Less than this does not count as progress: a peer that takes a byte now and then is stalled.
  static constexpr std::size_t kProgress = 16 * 1024;
  std::chrono::steady_clock::time_point stalled_since_{};
  std::size_t progress_ = 0;  // bytes that have left since then
  int error_number_ = 0;
  CloseReason kept_reason_ = CloseReason::kEof;
  bool paused_ = false;
  bool closed_ = false;  // on_closed was called, or is not due any more
  bool broken_ = false;  // sending is impossible
  bool finishing_ = false;
  bool kept_end_ = false;  // an end-of-file waits behind unused bytes
  bool over_high_water_ = false;
  bool resumed_ = false;  // resume_reading() from within on_data
  bool changed_ = false;  // set_handler() from within on_data
};

}  // namespace hyperdrive::proxy::net
