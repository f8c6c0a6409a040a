// The buffers the kernel fills when bytes arrive (io_uring's provided-buffer ring): one set for all
// connections of a loop, so that an idle connection owns none.
//
// It begins small and grows when the kernel runs out (-ENOBUFS), so that an idle proxy stays small.
// Each buffer has LoopCore::kHeadroom writable bytes in front, where a stream puts unused bytes.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace hyperdrive::proxy::net {

class ProvidedBuffers {
 public:
  static constexpr std::uint16_t kGroup = 0;
  static constexpr unsigned kSize = 16 * 1024;

  ProvidedBuffers() = default;
  ProvidedBuffers(const ProvidedBuffers&) = delete;
  ProvidedBuffers& operator=(const ProvidedBuffers&) = delete;
  ~ProvidedBuffers();

  /// 0, or the error number for which the kernel refused.
  int set_up(io_uring& ring);
  char* at(std::uint16_t id) const;
  /// Gives a buffer back; the kernel sees it after publish().
  void give_back(std::uint16_t id);
  void publish();
  /// More buffers, up to kMost.
  void grow();

 private:
  static constexpr unsigned kChunk = 64;
  static constexpr unsigned kMost = 1024;  // a power of two: the size of the ring

  io_uring_buf_ring* ring_ = nullptr;
  std::vector<std::unique_ptr<char[]>> chunks_;
  int unpublished_ = 0;
};

}  // namespace hyperdrive::proxy::net
