// The five bytes in front of every message after startup: type, and a length that counts itself.
//
// This is all that is read of a message that is only passed on. Header-only: it runs once a
// message.
#pragma once

#include <cstdint>

#include "proxy/wire/postgres/cursor.hpp"
#include "proxy/wire/postgres/protocol.hpp"

namespace hyperdrive::proxy::wire::postgres {

inline constexpr std::size_t kHeaderSize = 5;

enum class ReadStatus {
  kOk,
  kNeedMore,   ///< not enough bytes yet to say
  kMalformed,  ///< cannot become a message, whatever follows
  kTooLong,    ///< longer than the limit
};

struct Header {
  char type = 0;
  std::uint32_t length = 0;  ///< as on the wire: counts itself, not the type byte

  std::size_t size() const { return std::size_t{length} + 1; }  ///< the whole message
  std::size_t body_size() const { return std::size_t{length} - 4; }
  bool is(Frontend wanted) const { return type == static_cast<char>(wanted); }
  bool is(Backend wanted) const { return type == static_cast<char>(wanted); }
};

struct HeaderRead {
  ReadStatus status;
  Header header;
};

/// `limit` bounds Header::length.
inline HeaderRead read_header(Bytes bytes, std::uint32_t limit = kMaxMessage) {
  if (bytes.size() < kHeaderSize) return {ReadStatus::kNeedMore, {}};
  const Header header{bytes[0], load_u32(bytes.data() + 1)};
  if (header.length < 4) return {ReadStatus::kMalformed, header};
  if (header.length > limit) return {ReadStatus::kTooLong, header};
  return {ReadStatus::kOk, header};
}

/// A message that lies whole at the beginning of `bytes`; kNeedMore until then.
struct MessageRead {
  ReadStatus status;
  Header header;
  Bytes body;
};
inline MessageRead read_message(Bytes bytes, std::uint32_t limit = kMaxMessage) {
  const auto [status, header] = read_header(bytes, limit);
  if (status != ReadStatus::kOk) return {status, header, {}};
  if (bytes.size() < header.size()) return {ReadStatus::kNeedMore, header, {}};
  return {ReadStatus::kOk, header, bytes.substr(kHeaderSize, header.body_size())};
}

bool is_frontend_type(char type);
bool is_backend_type(char type);

}  // namespace hyperdrive::proxy::wire::postgres
