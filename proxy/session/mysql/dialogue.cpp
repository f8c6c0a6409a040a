#include "proxy/session/mysql/dialogue.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;

std::optional<std::size_t> Dialogue::take_message(net::Bytes data) {
  const my::PacketRead read = my::read_packet(data, my::kMaxLoginPacket);
  if (read.status == my::ReadStatus::kNeedMore) return 0;
  if (read.status != my::ReadStatus::kOk || read.header.sequence != next_) return std::nullopt;
  ++next_;
  packet_ = Packet{read.header.sequence, std::string(read.payload)};
  return read.header.size();
}

void Dialogue::send(my::Bytes payload) {
  std::string bytes;
  next_ = my::append_packet(bytes, next_, payload);
  write(bytes);
}

void Dialogue::send_command(my::Command command, my::Bytes argument) {
  next_ = 0;
  std::string payload(1, static_cast<char>(command));
  payload.append(argument);
  send(payload);
}

}  // namespace hyperdrive::proxy::session::mysql
