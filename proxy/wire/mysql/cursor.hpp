// A bounded reader over a payload: little-endian integers, length-encoded integers and strings.
// Reading past the end gives zeros or empty views and makes ok() false for good, so a parser reads
// on without checks and asks once at its end.
#pragma once

#include <cstring>

#include "proxy/wire/mysql/protocol.hpp"

namespace hyperdrive::proxy::wire::mysql {

class Cursor {
 public:
  explicit Cursor(Bytes bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  /// An integer of `size` bytes, 1 to 8.
  std::uint64_t fixed(std::size_t size) {
    const Bytes raw = bytes(size);
    std::uint64_t value = 0;
    for (std::size_t i = raw.size(); i-- > 0;) {
      value = value << 8 | static_cast<unsigned char>(raw[i]);
    }
    return value;
  }
  std::uint8_t u8() { return static_cast<std::uint8_t>(fixed(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(fixed(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(fixed(4)); }

  /// Length-encoded; 0xfb (NULL) and 0xff are no integers and make the cursor fail.
  std::uint64_t lenenc() {
    const std::uint8_t first = u8();
    if (first < 0xfb) return first;
    switch (first) {
      case 0xfc:
        return fixed(2);
      case 0xfd:
        return fixed(3);
      case 0xfe:
        return fixed(8);
      default:
        fail();
        return 0;
    }
  }
  Bytes lenenc_string() {
    const std::uint64_t size = lenenc();
    if (size > left()) return fail();
    return bytes(static_cast<std::size_t>(size));
  }
  /// Without its terminating zero.
  Bytes cstring() {
    const void* zero = at_ == end_ ? nullptr : std::memchr(at_, 0, left());
    if (zero == nullptr) return fail();
    const Bytes text(at_, static_cast<std::size_t>(static_cast<const char*>(zero) - at_));
    at_ += text.size() + 1;
    return text;
  }
  /// Up to a zero, or up to the end where a peer leaves the zero out.
  Bytes cstring_or_rest() {
    if (at_ != end_ && std::memchr(at_, 0, left()) != nullptr) return cstring();
    return rest();
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

}  // namespace hyperdrive::proxy::wire::mysql
