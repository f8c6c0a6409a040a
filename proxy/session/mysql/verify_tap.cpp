#include "proxy/session/mysql/verify_tap.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

#include "proxy/wire/mysql/packet.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;

namespace {

// The end of the rows, and what a longer answer may be longer by.
constexpr std::size_t kEnvelope = 64 * 1024;

/// The packets, without their numbers.
std::vector<std::string_view> packets_of(std::string_view bytes) {
  std::vector<std::string_view> packets;
  while (bytes.size() >= my::kHeaderSize) {
    const std::size_t size = std::min(my::read_header(bytes.data()).size(), bytes.size());
    packets.push_back(bytes.substr(my::kHeaderSize, size - my::kHeaderSize));
    bytes.remove_prefix(size);
  }
  return packets;
}

}  // namespace

void VerifyTap::on_bytes(net::Bytes bytes) {
  const cache::Entry& served = verification_.served();
  const std::size_t most = served.head().size() + served.rows_size() + kEnvelope;
  longer_ = longer_ || answer_.size() + bytes.size() > most;
  if (!longer_) answer_ += bytes;
}

/// An answer: column count and definitions, an EOF by the client's wish, rows, the end.
bool VerifyTap::same() const {
  if (longer_) return false;
  const cache::Entry& served = verification_.served();
  std::string kept_bytes;
  served.rows([&](net::Bytes piece) { kept_bytes += piece; });
  const auto head = packets_of(served.head());
  auto kept = packets_of(kept_bytes);
  auto said = packets_of(answer_);
  const std::size_t before = head.size() + (deprecates_eof_ ? 0 : 1);
  if (said.size() != before + kept.size() + 1) return false;
  if (!std::equal(head.begin(), head.end(), said.begin())) return false;
  said.erase(said.begin(), said.begin() + static_cast<std::ptrdiff_t>(before));
  said.pop_back();
  if (said == kept) return true;
  std::sort(said.begin(), said.end());
  std::sort(kept.begin(), kept.end());
  return said == kept;
}

void VerifyTap::on_end(bool clean) {
  verification_.conclude(clean, [this] { return same(); });
}

}  // namespace hyperdrive::proxy::session::mysql
