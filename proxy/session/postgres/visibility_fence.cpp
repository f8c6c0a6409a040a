#include "proxy/session/postgres/visibility_fence.hpp"

#include <algorithm>
#include <utility>

namespace hyperdrive::proxy::session::postgres {

void VisibilityFence::add(std::uint32_t xid, cache::WriteIntent intent) {
  if (!holds_) {
    intent.commit();
    return;
  }
  waiting_.push_back({xid, std::move(intent)});
}

std::string VisibilityFence::question() {
  asked_ = std::min(waiting_.size(), kBatch);
  std::string xids;
  for (std::size_t i = 0; i < asked_; ++i) {
    if (i > 0) xids += ',';
    xids += std::to_string(waiting_[i].xid);
  }
  // near: the 64-bit number with these low 32 bits that lies nearest to the snapshot's xmax.
  return "SELECT pg_catalog.string_agg(CASE WHEN pg_catalog.pg_visible_in_snapshot("
         "near::pg_catalog.text::pg_catalog.xid8, snapshot) THEN 't' ELSE 'f' END, '' ORDER BY n)"
         " FROM (SELECT n, snapshot, base + ((x - base % 4294967296 + 6442450944) % 4294967296)"
         " - 2147483648 AS near FROM (SELECT snapshot,"
         " pg_catalog.pg_snapshot_xmax(snapshot)::pg_catalog.text::pg_catalog.int8 AS base"
         " FROM (SELECT pg_catalog.pg_current_snapshot() AS snapshot) s) b,"
         " pg_catalog.unnest('{" +
         xids + "}'::pg_catalog.int8[]) WITH ORDINALITY AS u(x, n)) w";
}

std::optional<VisibilityFence::Settled> VisibilityFence::answer(std::string_view flags) {
  if (flags.size() != std::exchange(asked_, 0)) return std::nullopt;
  Settled settled;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < waiting_.size(); ++i) {
    if (i < flags.size() && flags[i] == 't') {
      settled.without_tables |= !waiting_[i].intent.pending();
      ++settled.transactions;
      waiting_[i].intent.commit();
      continue;
    }
    if (kept != i) waiting_[kept] = std::move(waiting_[i]);
    ++kept;
  }
  waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(kept), waiting_.end());
  return settled;
}

void VisibilityFence::settle_all() {
  for (Waiting& waiting : waiting_) waiting.intent.commit();
  waiting_.clear();
  asked_ = 0;
}

}  // namespace hyperdrive::proxy::session::postgres
