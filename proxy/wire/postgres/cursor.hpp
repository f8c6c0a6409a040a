// A bounded reader over message bytes. Reading past the end gives zeros or empty views and makes
// ok() false for good, so a parser reads on without checks and asks once at its end.
#pragma once

#include <cstdint>
#include <cstring>

#include "proxy/wire/postgres/protocol.hpp"

namespace hyperdrive::proxy::wire::postgres {

/// Big-endian integers at `at`; the caller guarantees that the bytes are there.
inline std::uint16_t load_u16(const char* at) {
  std::uint16_t value;
  std::memcpy(&value, at, sizeof value);
  return __builtin_bswap16(value);
}
inline std::uint32_t load_u32(const char* at) {
  std::uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return __builtin_bswap32(value);
}
inline void store_u16(char* at, std::uint16_t value) {
  value = __builtin_bswap16(value);
  std::memcpy(at, &value, sizeof value);
}
inline void store_u32(char* at, std::uint32_t value) {
  value = __builtin_bswap32(value);
  std::memcpy(at, &value, sizeof value);
}

class Cursor {
 public:
  explicit Cursor(Bytes bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  char u8() {
    const Bytes byte = bytes(1);
    return byte.empty() ? '\0' : byte[0];
  }
  std::uint16_t u16() {
    const Bytes two = bytes(2);
    return two.empty() ? std::uint16_t{0} : load_u16(two.data());
  }
  std::uint32_t u32() {
    const Bytes four = bytes(4);
    return four.empty() ? 0u : load_u32(four.data());
  }
  std::int32_t i32() { return static_cast<std::int32_t>(u32()); }

  /// Without its terminating zero.
  Bytes cstring() {
    const void* zero = at_ == end_ ? nullptr : std::memchr(at_, 0, left());
    if (zero == nullptr) return fail();
    const Bytes text(at_, static_cast<const char*>(zero) - at_);
    at_ += text.size() + 1;
    return text;
  }
  Bytes bytes(std::size_t count) {
    if (left() < count) return fail();
    const Bytes taken(at_, count);
    at_ += count;
    return taken;
  }
  Bytes rest() { return bytes(left()); }

  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  bool ok() const { return ok_; }
  /// Nothing was missing and nothing is left over.
  bool done() const { return ok_ && at_ == end_; }
  Bytes fail() {
    ok_ = false;
    at_ = end_;
    return {};
  }

 private:
  const char* at_;
  const char* end_;
  bool ok_ = true;
};

}  // namespace hyperdrive::proxy::wire::postgres
