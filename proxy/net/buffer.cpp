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
  while (memory == nullptr) {
    // As operator new does.
    const auto handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
    memory = std::malloc(size);
  }
  return static_cast<char*>(memory);
}

}  // namespace

BlockPool::~BlockPool() {
  for (const auto& blocks : spare_) {
    for (char* block : blocks) std::free(block);
  }
}

std::vector<char*>* BlockPool::spare_of(std::size_t size) {
  std::size_t index = 0;
  for (std::size_t each = kBlock; each < size; each *= kGrowth) ++index;
  return index < spare_.size() ? &spare_[index] : nullptr;
}

char* BlockPool::take(std::size_t size) {
  auto* spare = spare_of(size);
  if (spare == nullptr || spare->empty()) return allocate(size);
  char* block = spare->back();
  spare->pop_back();
  return block;
}

void BlockPool::give(char* block, std::size_t size) {
  auto* spare = spare_of(size);
  const auto index = static_cast<std::size_t>(spare == nullptr ? 0 : spare - spare_.data());
  if (spare != nullptr && spare->size() < kKept[index]) {
    spare->push_back(block);
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
  std::size_t capacity = std::max(capacity_, BlockPool::kBlock);
  while (capacity < held + size) capacity *= BlockPool::kGrowth;
  char* grown = pool.take(capacity);
  if (held != 0) std::memcpy(grown, data_ + begin_, held);
  if (data_ != nullptr) pool.give(data_, capacity_);
  data_ = grown;
  capacity_ = capacity;
  begin_ = 0;
  end_ = held;
}

void Buffer::release(BlockPool& pool) {
  if (data_ != nullptr) pool.give(data_, capacity_);
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
