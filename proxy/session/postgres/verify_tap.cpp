#include "proxy/session/postgres/verify_tap.hpp"

#include <spdlog/spdlog.h>

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
  longer_ = longer_ || answer_.size() + bytes.size() > served_->rows_size() + kEnvelope;
  if (!longer_) answer_ += bytes;
}

bool VerifyTap::same() const {
  if (longer_) return false;
  std::string rows;
  rows.reserve(served_->rows_size());
  served_->rows([&](net::Bytes piece) { rows += piece; });
  const auto tails = messages(answer_, pg::Backend::kCommandComplete);
  return tails.size() == 1 && tails.front() == served_->tail() &&
         messages(answer_, pg::Backend::kDataRow) == messages(rows, pg::Backend::kDataRow);
}

void VerifyTap::on_end(bool clean) {
  if (!clean || !cache_.comparable(*served_)) return;
  cache_.counters().add(cache::Count::kVerified);
  if (same()) return;
  cache_.counters().add(cache::Count::kVerifiedStale);
  differs_();
  spdlog::warn("verify: a hit differs from what the origin says now; {} of {} checked did",
               cache_.counters().snapshot().of(cache::Count::kVerifiedStale),
               cache_.counters().snapshot().of(cache::Count::kVerified));
}

}  // namespace hyperdrive::proxy::session::postgres
