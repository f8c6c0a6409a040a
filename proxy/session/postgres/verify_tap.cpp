#include "proxy/session/postgres/verify_tap.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

#include "proxy/wire/postgres/backend.hpp"
#include "proxy/wire/postgres/header.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;

namespace {

// RowDescription, ParseComplete and their like around the rows.
constexpr std::size_t kEnvelope = 256 * 1024;

/// The messages of one kind, whole, sorted.
std::vector<std::string_view> messages(std::string_view bytes, pg::Backend kind) {
  std::vector<std::string_view> found;
  while (true) {
    const auto [status, header] = pg::read_header(bytes);
    if (status != pg::ReadStatus::kOk || header.size() > bytes.size()) break;
    if (header.is(kind)) found.push_back(bytes.substr(0, header.size()));
    bytes.remove_prefix(header.size());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

void VerifyTap::on_bytes(net::Bytes bytes) {
  const std::size_t most = verification_.served().rows_size() + kEnvelope;
  longer_ = longer_ || answer_.size() + bytes.size() > most;
  if (!longer_) answer_ += bytes;
}

bool VerifyTap::same() const {
  if (longer_) return false;
  const cache::Entry& served = verification_.served();
  std::string rows;
  rows.reserve(served.rows_size());
  served.rows([&](net::Bytes piece) { rows += piece; });
  const auto tails = messages(answer_, pg::Backend::kCommandComplete);
  return tails.size() == 1 && tails.front() == served.tail() &&
         messages(answer_, pg::Backend::kDataRow) == messages(rows, pg::Backend::kDataRow);
}

void VerifyTap::on_end(bool clean) {
  verification_.conclude(clean, [this] { return same(); });
}

}  // namespace hyperdrive::proxy::session::postgres
