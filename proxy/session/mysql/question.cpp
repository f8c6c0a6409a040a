#include "proxy/session/mysql/question.hpp"

#include <fmt/format.h>

#include "proxy/wire/mysql/response.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;
using core::code::kTestQueryFailed;
using net::Task;

namespace {

constexpr std::uint8_t kNull = 0xfb;

tl::unexpected<core::Error> broken(const Dialogue& dialogue) {
  return core::fail(fmt::format("The origin ended the connection during the query: {}.",
                                dialogue.failure_words()),
                    "Look into the origin's log.", kTestQueryFailed);
}

tl::unexpected<core::Error> refused(std::string_view sql, my::Bytes payload) {
  const auto error = my::parse_err(payload);
  return core::fail(
      fmt::format("The query \"{}\" failed: {}.", sql,
                  error ? error->message : std::string_view("an answer that cannot be read")),
      "Check that the user may connect to this database and read from it.", kTestQueryFailed);
}

TextRow row_of(my::Bytes payload) {
  TextRow row;
  my::Cursor cursor(payload);
  while (cursor.ok() && cursor.left() != 0) {
    if (static_cast<std::uint8_t>(payload[payload.size() - cursor.left()]) == kNull) {
      cursor.u8();
      row.emplace_back();
    } else {
      row.emplace_back(cursor.lenenc_string());
    }
  }
  return row;
}

}  // namespace

Task<core::Result<std::vector<TextRow>>> ask(Dialogue& dialogue, std::string_view sql,
                                             std::uint64_t capabilities) {
  dialogue.send_command(my::Command::kQuery, sql);
  const auto head = co_await dialogue.packet();
  if (!head) co_return broken(dialogue);
  std::vector<TextRow> rows;
  const my::ReplyKind kind = my::reply_kind(head->payload);
  if (kind == my::ReplyKind::kOk) co_return rows;
  if (kind != my::ReplyKind::kResultSet) co_return refused(sql, head->payload);
  const auto count = my::parse_column_count(head->payload, capabilities);
  if (!count) co_return refused(sql, head->payload);
  const bool eof = (capabilities & my::capability::kDeprecateEof) == 0;
  const std::uint64_t definitions = count->metadata_follows ? count->columns + (eof ? 1 : 0) : 0;
  for (std::uint64_t i = 0; i < definitions; ++i) {
    if (!co_await dialogue.packet()) co_return broken(dialogue);
  }
  for (;;) {
    const auto packet = co_await dialogue.packet();
    if (!packet) co_return broken(dialogue);
    if (packet->first() == my::reply::kErr) co_return refused(sql, packet->payload);
    if (my::ends_rows(packet->payload, capabilities)) co_return rows;
    rows.push_back(row_of(packet->payload));
  }
}

}  // namespace hyperdrive::proxy::session::mysql
