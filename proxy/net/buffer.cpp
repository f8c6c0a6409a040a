#include "proxy/net/buffer.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace hyperdrive::proxy::net {
namespace {

char* allocate(std::size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return static_cast<char*>(memory);
}

}  // namespace

BlockPool::~BlockPool() {
  for (char* block : spare_) std::free(block);
}

char* BlockPool::take() {
  if (spare_.empty()) return allocate(kBlock);
  char* block = spare_.back();
  spare_.pop_back();
  return block;
}

void BlockPool::give(char* block) {
  if (spare_.size() < kKept) {
    spare_.push_back(block);
  } else {
    std::free(block);
  }
}

Buffer::~Buffer() { std::free(data_); }

void Buffer::append(Bytes bytes, BlockPool& pool) {
  if (bytes.empty()) return;
  std::memcpy(extend(bytes.size(), pool), bytes.data(), bytes.size());
}

char* Buffer::extend(std::size_t size, BlockPool& pool) {
  if (capacity_ - end_ < size) make_room(size, pool);
  char* at = data_ + end_;
  end_ += size;
  return at;
}

void Buffer::make_room(std::size_t size, BlockPool& pool) {
  const std::size_t held = this->size();
  if (held + size <= capacity_ && begin_ >= capacity_ / 2) {
    std::memmove(data_, data_ + begin_, held);
    begin_ = 0;
    end_ = held;
    return;
  }
  std::size_t capacity = std::max(capacity_ * 2, BlockPool::kBlock);
  while (capacity < held + size) capacity *= 2;
  char* grown = capacity == BlockPool::kBlock ? pool.take() : allocate(capacity);
  if (held != 0) std::memcpy(grown, data_ + begin_, held);
  if (data_ != nullptr) {
    if (capacity_ == BlockPool::kBlock) {
      pool.give(data_);
    } else {
      std::free(data_);
    }
  }
  data_ = grown;
  capacity_ = capacity;
  begin_ = 0;
  end_ = held;
}

void Buffer::release(BlockPool& pool) {
  if (data_ != nullptr) {
    if (capacity_ == BlockPool::kBlock) {
      pool.give(data_);
    } else {
      std::free(data_);
    }
  }
  data_ = nullptr;
  begin_ = end_ = capacity_ = 0;
}

void Buffer::swap(Buffer& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(begin_, other.begin_);
  std::swap(end_, other.end_);
  std::swap(capacity_, other.capacity_);
}

}  // namespace hyperdrive::proxy::net
