// Framing: three bytes of length, one of sequence number. A payload of 16 MB - 1 goes on in the
// next packet, down to one that is shorter (and may be empty).
#pragma once

#include <string>

#include "proxy/wire/mysql/cursor.hpp"
#include "proxy/wire/mysql/protocol.hpp"

namespace hyperdrive::proxy::wire::mysql {

inline constexpr std::size_t kHeaderSize = 4;

struct Header {
  std::uint32_t length = 0;  ///< of the payload
  std::uint8_t sequence = 0;

  std::size_t size() const { return kHeaderSize + length; }
  bool continues() const { return length == kMaxPayload; }
};

enum class ReadStatus { kOk, kNeedMore, kTooLong };

struct PacketRead {
  ReadStatus status = ReadStatus::kNeedMore;
  Header header;
  Bytes payload;  ///< of this one packet
};

inline Header read_header(const char* four) {
  const auto* at = reinterpret_cast<const unsigned char*>(four);
  // Compilers make one load of it.
  const std::uint32_t word = static_cast<std::uint32_t>(at[0]) | std::uint32_t{at[1]} << 8 |
                             std::uint32_t{at[2]} << 16 | std::uint32_t{at[3]} << 24;
  return {word & 0xffffff, static_cast<std::uint8_t>(word >> 24)};
}

/// One packet that lies whole at the beginning of `bytes`. `limit` bounds the payload.
inline PacketRead read_packet(Bytes bytes, std::size_t limit = kMaxPayload) {
  if (bytes.size() < kHeaderSize) return {};
  const Header header = read_header(bytes.data());
  if (header.length > limit) return {ReadStatus::kTooLong, header, {}};
  if (bytes.size() < header.size()) return {ReadStatus::kNeedMore, header, {}};
  return {ReadStatus::kOk, header, bytes.substr(kHeaderSize, header.length)};
}

/// Appends `payload` as one packet, or as several if it is that long; gives the next sequence
/// number.
std::uint8_t append_packet(std::string& out, std::uint8_t sequence, Bytes payload);

/// Builds a payload: the counterpart of Cursor.
class PayloadWriter {
 public:
  explicit PayloadWriter(std::string& out) : out_(out) {}
  /// The lowest `size` bytes, 8 at most.
  PayloadWriter& fixed(std::uint64_t value, std::size_t size) {
    char bytes[sizeof value];
    for (char& byte : bytes) {
      byte = static_cast<char>(value);
      value >>= 8;
    }
    out_.append(bytes, size);
    return *this;
  }
  PayloadWriter& u8(std::uint8_t value) { return fixed(value, 1); }
  PayloadWriter& u16(std::uint16_t value) { return fixed(value, 2); }
  PayloadWriter& u32(std::uint32_t value) { return fixed(value, 4); }
  PayloadWriter& lenenc(std::uint64_t value);
  PayloadWriter& lenenc_string(Bytes value) { return lenenc(value.size()).bytes(value); }
  PayloadWriter& cstring(Bytes value) { return bytes(value).u8(0); }
  PayloadWriter& bytes(Bytes value) {
    out_.append(value);
    return *this;
  }
  PayloadWriter& zeros(std::size_t count) {
    out_.append(count, '\0');
    return *this;
  }

 private:
  std::string& out_;
};

}  // namespace hyperdrive::proxy::wire::mysql
