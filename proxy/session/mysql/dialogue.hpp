// A conversation with a MySQL or MariaDB origin, packet by packet: see origin_dialogue.hpp. For
// logins, verification and the few questions that the proxy asks for itself; sessions relay bytes.
#pragma once

#include <optional>
#include <string>

#include "proxy/session/origin_dialogue.hpp"
#include "proxy/wire/mysql/packet.hpp"

namespace hyperdrive::proxy::session::mysql {

class Dialogue final : public OriginDialogue {
 public:
  struct Packet {
    std::uint8_t sequence = 0;
    std::string payload;

    std::uint8_t first() const {
      return payload.empty() ? 0 : static_cast<std::uint8_t>(payload[0]);
    }
  };

  using OriginDialogue::OriginDialogue;

  /// The next packet, of at most kMaxLoginPacket bytes; its sequence number must be the one that is
  /// due. Nothing: see failure().
  Wait<std::optional<Packet>> packet() { return want_message(packet_); }
  /// Sends `payload` with the next sequence number.
  void send(wire::mysql::Bytes payload);
  /// Begins a command: its sequence number is 0.
  void send_command(wire::mysql::Command command, wire::mysql::Bytes argument = {});

 private:
  std::optional<std::size_t> take_message(net::Bytes data) override;

  std::optional<Packet> packet_;
  std::uint8_t next_ = 0;  // sequence number of the next packet, whoever sends it
};

}  // namespace hyperdrive::proxy::session::mysql
