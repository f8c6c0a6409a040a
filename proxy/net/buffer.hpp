// The byte queue behind a Stream, and the spare blocks it is made from.
//
// A Buffer owns memory only while it holds bytes (an idle connection owns none): `release` gives
// the block back to the loop's BlockPool. One thread, like everything of a stream.
#pragma once

#include <cstddef>
#include <vector>

#include "proxy/net/stream.hpp"

namespace hyperdrive::proxy::net {

/// Spare blocks of one size, so that a message in and out costs no malloc.
class BlockPool {
 public:
  static constexpr std::size_t kBlock = 8 * 1024;

  BlockPool() = default;
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool();

  char* take();
  void give(char* block);

 private:
  static constexpr std::size_t kKept = 256;  // 2 MB at most
  std::vector<char*> spare_;
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
