// CacheGate: what people see of each query (`hyperdrive dev`, `top`).
#include <fmt/format.h>

#include <utility>

#include "proxy/session/postgres/cache_gate.hpp"
#include "proxy/wire/postgres/backend.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using sql::CacheStatus;
using Clock = std::chrono::steady_clock;

namespace {
std::uint64_t micros(Clock::duration duration) {
  const auto count = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return count < 0 ? 0 : static_cast<std::uint64_t>(count);
}
}  // namespace

std::string CacheGate::stale_reason(const cache::Found& found) {
  if (found.written == nullptr) return {};
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(found.written_ago).count();
  std::string table = planner_.table_name(*found.written);
  if (table.starts_with("public.")) table.erase(0, 7);
  return fmt::format("{} was written {} s ago", table, seconds);
}

void CacheGate::announce_hit(Client& client, const Question& question, const cache::Found& found,
                             std::size_t bytes) {
  const auto taken = micros(Clock::now() - worker_.loop.now());
  worker_.telemetry.hit.add(taken);
  const auto waited = micros(visits_.time_waited(client));
  worker_.telemetry.query.add(taken + waited);
  if (!worker_.service.telemetry.listening()) return;
  QueryEvent event;
  event.at = std::chrono::system_clock::now();
  event.client = client.id();
  event.sql = question.text->text;
  event.status = sql::name(found.status());
  event.reason = found.state == cache::Found::State::kNone ? "answered with another client's miss"
                                                           : stale_reason(found);
  event.wait_us = waited;
  event.duration_us = taken + waited;
  event.rows = found.entry->row_count();
  event.bytes = bytes;
  event.age_us = micros(found.age);
  const auto tag = pg::parse_command_complete(
      found.entry->tail().substr(std::min(pg::kHeaderSize, found.entry->tail().size())));
  if (tag) event.command = pg::tag_command(*tag);
  worker_.service.telemetry.sink()->publish(std::move(event));
}

/// `verify` found that a hit was not what the origin says.
void CacheGate::announce_difference(const TextInfo& text, const cache::EntryRef& entry) {
  if (!worker_.service.telemetry.listening()) return;
  QueryEvent event;
  event.at = std::chrono::system_clock::now();
  event.sql = text.text;
  event.status = sql::name(CacheStatus::kHit);
  event.reason = "verify: the origin answers differently now";
  event.rows = entry->row_count();
  event.age_us = micros(worker_.loop.now() - entry->created());
  worker_.service.telemetry.sink()->publish(std::move(event));
}

void CacheGate::ready(Client& client, pg::TransactionStatus) {
  Visit* visit = visits_.find(client);
  if (visit == nullptr) return;
  visit->describing = false;
  visits_.forget_if_idle(client);
}

}  // namespace hyperdrive::proxy::session::postgres
