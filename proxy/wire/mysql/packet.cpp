#include "proxy/wire/mysql/packet.hpp"

#include <algorithm>

namespace hyperdrive::proxy::wire::mysql {

std::uint8_t append_packet(std::string& out, std::uint8_t sequence, Bytes payload) {
  for (;;) {
    const std::size_t size = std::min(payload.size(), kMaxPayload);
    PayloadWriter(out).fixed(size, 3).u8(sequence++).bytes(payload.substr(0, size));
    payload.remove_prefix(size);
    if (size < kMaxPayload) return sequence;
  }
}

PayloadWriter& PayloadWriter::lenenc(std::uint64_t value) {
  if (value < 0xfb) return u8(static_cast<std::uint8_t>(value));
  if (value <= 0xffff) return u8(0xfc).fixed(value, 2);
  if (value <= 0xffffff) return u8(0xfd).fixed(value, 3);
  return u8(0xfe).fixed(value, 8);
}

}  // namespace hyperdrive::proxy::wire::mysql
