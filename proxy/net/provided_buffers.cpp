#include "proxy/net/provided_buffers.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "proxy/net/loop_core.hpp"

namespace hyperdrive::proxy::net {
namespace {

constexpr std::size_t kPage = 4096;
// An odd number of cache lines apart, or the beginnings of all buffers would share one cache set.
constexpr std::size_t kStride = LoopCore::kHeadroom + ProvidedBuffers::kSize + 64;

}  // namespace

ProvidedBuffers::~ProvidedBuffers() { std::free(ring_); }

int ProvidedBuffers::set_up(io_uring& ring) {
  const std::size_t size = kMost * sizeof(io_uring_buf);
  ring_ = static_cast<io_uring_buf_ring*>(std::aligned_alloc(kPage, size));
  if (ring_ == nullptr) return ENOMEM;
  std::memset(static_cast<void*>(ring_), 0, size);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(ring_);
  registration.ring_entries = kMost;
  registration.bgid = kGroup;
  const int result = ::io_uring_register_buf_ring(&ring, &registration, 0);
  if (result != 0) return -result;
  ::io_uring_buf_ring_init(ring_);
  grow();
  return 0;
}

char* ProvidedBuffers::at(std::uint16_t id) const {
  return chunks_[id / kChunk].get() + (id % kChunk) * kStride + LoopCore::kHeadroom;
}

void ProvidedBuffers::give_back(std::uint16_t id) {
  ::io_uring_buf_ring_add(ring_, at(id), kSize, id, ::io_uring_buf_ring_mask(kMost), unpublished_);
  ++unpublished_;
}

void ProvidedBuffers::publish() {
  if (unpublished_ == 0) return;
  ::io_uring_buf_ring_advance(ring_, unpublished_);
  unpublished_ = 0;
}

void ProvidedBuffers::grow() {
  const std::size_t first = chunks_.size() * kChunk;
  if (first >= kMost) return;
  chunks_.emplace_back(new char[kChunk * kStride]);
  for (std::size_t id = first; id < first + kChunk; ++id) {
    give_back(static_cast<std::uint16_t>(id));
  }
  publish();
}

}  // namespace hyperdrive::proxy::net
