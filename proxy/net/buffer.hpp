// The byte queue behind a Stream, and the spare blocks it is made from.
//
// A Buffer owns memory only while it holds bytes (an idle connection owns none): `release` gives
// the block back to the loop's BlockPool. One thread, like everything of a stream.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "proxy/net/stream.hpp"

namespace hyperdrive::proxy::net {

/// Spare blocks of a few sizes, so that neither a message in and out nor a large result costs
/// malloc and, worse, fresh pages of the kernel. Keeps 3.5 MB at most.
class BlockPool {
 public:
  static constexpr std::size_t kBlock = 8 * 1024;
  static constexpr std::size_t kGrowth = 4;  ///< each size is so many times the one before

  BlockPool() = default;
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool();

  /// `size` is kBlock times a power of kGrowth, here and in give().
  char* take(std::size_t size);
  void give(char* block, std::size_t size);

 private:
  static constexpr std::array<std::size_t, 4> kKept = {128, 16, 8, 2};  // of 8, 32, 128, 512 kB

  std::vector<char*>* spare_of(std::size_t size);

  std::array<std::vector<char*>, kKept.size()> spare_;
};

/// Bytes are appended at the end and consumed from the front; always contiguous.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  bool empty() const { return begin_ == end_; }
  std::size_t size() const { return end_ - begin_; }
  Bytes view() const { return {data_ + begin_, size()}; }
  char* data() { return data_ + begin_; }

  void append(Bytes bytes, BlockPool& pool);
  /// `size` more bytes, to be filled in by the caller.
  char* extend(std::size_t size, BlockPool& pool);
  /// Takes back the last `size` bytes of an extend() that were not needed.
  void shrink(std::size_t size) { end_ -= size; }
  void consume(std::size_t size) { begin_ += size; }
  /// Drops all bytes and gives the memory back.
  void release(BlockPool& pool);
  void swap(Buffer& other) noexcept;

 private:
  void make_room(std::size_t size, BlockPool& pool);

  char* data_ = nullptr;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace hyperdrive::proxy::net
