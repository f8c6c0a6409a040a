// A conversation with a Postgres origin, message by message: see origin_dialogue.hpp.
#pragma once

#include <optional>
#include <string>

#include "proxy/session/origin_dialogue.hpp"
#include "proxy/wire/postgres/header.hpp"

namespace hyperdrive::proxy::session::postgres {

class Dialogue final : public OriginDialogue {
 public:
  /// Login messages have some hundred bytes; a longer one is not a login's.
  static constexpr std::uint32_t kMaxMessage = wire::postgres::kMaxAuthMessage;

  struct Message {
    wire::postgres::Header header;
    std::string body;
  };

  using OriginDialogue::OriginDialogue;

  /// Nothing: see failure().
  Wait<std::optional<Message>> message() { return want_message(message_); }

 private:
  std::optional<std::size_t> take_message(net::Bytes data) override;

  std::optional<Message> message_;
};

}  // namespace hyperdrive::proxy::session::postgres
