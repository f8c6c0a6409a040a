#include "proxy/wire/postgres/replication.hpp"

#include <charconv>

#include "proxy/wire/postgres/cursor.hpp"

namespace hyperdrive::proxy::wire::postgres {

namespace {
constexpr char kXLogData = 'w';
constexpr char kKeepalive = 'k';
constexpr char kStandbyStatus = 'r';
constexpr std::uint32_t kStandbyStatusSize = 4 + 1 + 4 * 8 + 1;

std::uint64_t u64(Cursor& cursor) {
  const std::uint64_t high = cursor.u32();
  return high << 32 | cursor.u32();
}

void append_u32(std::string& out, std::uint32_t value) {
  char bytes[4];
  store_u32(bytes, value);
  out.append(bytes, sizeof bytes);
}

void append_u64(std::string& out, std::uint64_t value) {
  append_u32(out, static_cast<std::uint32_t>(value >> 32));
  append_u32(out, static_cast<std::uint32_t>(value));
}
}  // namespace

std::optional<XLogData> parse_xlog_data(Bytes body) {
  Cursor cursor(body);
  if (cursor.u8() != kXLogData) return std::nullopt;
  XLogData data;
  data.start = u64(cursor);
  data.end = u64(cursor);
  u64(cursor);  // the server's clock
  data.payload = cursor.rest();
  if (!cursor.ok()) return std::nullopt;
  return data;
}

std::optional<PrimaryKeepalive> parse_primary_keepalive(Bytes body) {
  Cursor cursor(body);
  if (cursor.u8() != kKeepalive) return std::nullopt;
  PrimaryKeepalive keepalive;
  keepalive.end = u64(cursor);
  u64(cursor);
  keepalive.reply_requested = cursor.u8() != 0;
  if (!cursor.done()) return std::nullopt;
  return keepalive;
}

void append_standby_status(std::string& out, Lsn position, std::int64_t now_us,
                           bool ask_for_reply) {
  // Microseconds since 2000-01-01, as Postgres counts.
  constexpr std::int64_t kPostgresEpoch = 946'684'800'000'000;
  out += static_cast<char>(Frontend::kCopyData);
  append_u32(out, kStandbyStatusSize);
  out += kStandbyStatus;
  for (int i = 0; i < 3; ++i) append_u64(out, position);  // written, flushed, applied
  append_u64(out, static_cast<std::uint64_t>(now_us - kPostgresEpoch));
  out += static_cast<char>(ask_for_reply);
}

std::string format_lsn(Lsn lsn) {
  char text[20];
  char* end = std::to_chars(text, text + 8, static_cast<std::uint32_t>(lsn >> 32), 16).ptr;
  *end++ = '/';
  end = std::to_chars(end, end + 8, static_cast<std::uint32_t>(lsn), 16).ptr;
  return std::string(text, end);
}

std::optional<Lsn> parse_lsn(Bytes text) {
  const auto slash = text.find('/');
  if (slash == Bytes::npos) return std::nullopt;
  std::uint32_t parts[2] = {0, 0};
  const Bytes halves[2] = {text.substr(0, slash), text.substr(slash + 1)};
  for (int i = 0; i < 2; ++i) {
    const char* end = halves[i].data() + halves[i].size();
    const auto [stop, error] = std::from_chars(halves[i].data(), end, parts[i], 16);
    if (error != std::errc() || stop != end || halves[i].empty()) return std::nullopt;
  }
  return Lsn{parts[0]} << 32 | parts[1];
}

}  // namespace hyperdrive::proxy::wire::postgres
