#include "proxy/session/postgres/dialogue.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;

std::optional<std::size_t> Dialogue::take_message(net::Bytes data) {
  const pg::MessageRead read = pg::read_message(data, kMaxMessage);
  if (read.status == pg::ReadStatus::kNeedMore) return 0;
  if (read.status != pg::ReadStatus::kOk) return std::nullopt;
  message_ = Message{read.header, std::string(read.body)};
  return read.header.size();
}

}  // namespace hyperdrive::proxy::session::postgres
