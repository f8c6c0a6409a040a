#include "proxy/wire/postgres/scram_text.hpp"

#include <algorithm>

#include "proxy/wire/postgres/base64.hpp"
#include "proxy/wire/postgres/hash.hpp"

namespace hyperdrive::proxy::wire::postgres::scram {

std::optional<Bytes> take_attribute(Bytes& message, char name) {
  if (message.size() < 2 || message[0] != name || message[1] != '=') return std::nullopt;
  const std::size_t comma = message.find(',');
  const Bytes value = message.substr(2, comma == Bytes::npos ? comma : comma - 2);
  message.remove_prefix(comma == Bytes::npos ? message.size() : comma + 1);
  return value;
}

bool valid_nonce(Bytes nonce) {
  return !nonce.empty() && std::all_of(nonce.begin(), nonce.end(), [](char byte) {
    return byte >= 0x21 && byte <= 0x7e && byte != ',';
  });
}

std::string make_nonce() { return base64_encode(random_bytes(18)); }

std::string encode_binding(Bytes gs2_header, Bytes channel_binding) {
  std::string input(gs2_header);
  if (gs2_header == kPlusHeader) input.append(channel_binding);
  return base64_encode(input);
}

}  // namespace hyperdrive::proxy::wire::postgres::scram
