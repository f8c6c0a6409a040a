// Client: what listeners hear. Nothing here runs while nobody listens.
#include "proxy/session/postgres/client.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;

namespace {

constexpr std::size_t kMaxSql = 4096;

std::string feature_names(std::uint16_t bits) {
  std::string out;
  for (std::size_t i = 0; i < kFeatureCount; ++i) {
    const auto feature = static_cast<Feature>(i);
    if ((bits & bit(feature)) == 0) continue;
    if (!out.empty()) out += ", ";
    out += name(feature);
  }
  return out;
}

/// At most kMaxSql bytes, cut where a character ends.
std::string cut(std::string_view sql) {
  if (sql.size() <= kMaxSql) return std::string(sql);
  std::size_t end = kMaxSql;
  while (end > 0 && (static_cast<unsigned char>(sql[end]) & 0xc0) == 0x80) --end;
  return std::string(sql.substr(0, end));
}

std::uint64_t micros(std::chrono::steady_clock::duration time) {
  const auto count = std::chrono::duration_cast<std::chrono::microseconds>(time).count();
  return count < 0 ? 0 : static_cast<std::uint64_t>(count);
}

}  // namespace

void Client::set_cache_outcome(sql::CacheStatus status, std::string reason) {
  cache_status_ = status;
  if (!reason.empty() || session_) session().cache_reason = std::move(reason);
}

void Client::set_tables_written(std::vector<std::string> tables) {
  if (!tables.empty() || session_) session().tables_written = std::move(tables);
}

void Client::tell(const Expected& entry, net::Bytes tag_body, net::Bytes error, std::uint64_t rows,
                  std::uint64_t bytes) {
  const TextInfo* text = entry.text.get();
  if (text == nullptr && entry.named) text = entry.named->text.get();
  if (text == nullptr) text = unnamed_.text.get();
  QueryEvent event;
  event.at = std::chrono::system_clock::now();
  event.client = process_id_;
  if (text != nullptr) event.sql = cut(text->text);
  const auto tag = pg::parse_command_complete(tag_body);
  if (tag) event.command = pg::tag_command(*tag);
  event.status = entry.poison ? kRefused : name(cache_status_);
  if (session_ && !entry.poison) event.reason = session_->cache_reason;
  if (session_) event.tables_written = session_->tables_written;
  const auto spent = std::chrono::steady_clock::now() - entry.start;
  event.origin_us = micros(spent);
  event.wait_us = lease_ ? micros(lease_->waited()) : 0;
  event.duration_us = event.origin_us + event.wait_us;
  event.rows = rows;
  event.bytes = bytes;
  if (const auto fields = pg::parse_error_response(error)) {
    event.sqlstate = fields->sqlstate;
    event.error = fields->message;
  }
  event.pinned = feature_names(pins_);
  event.refused_in_production = feature_names(static_cast<std::uint16_t>(pins_ | lost_));
  lost_ = 0;
  worker_.service.telemetry.sink()->publish(std::move(event));
}

/// The first statement of a group that failed for want of a connection; called as it is skipped.
void Client::tell_untold(net::Bytes sql) {
  const auto error = std::exchange(untold_, nullptr);
  if (error && told_of()) tell_refused(sql, error->sqlstate, error->message);
}

void Client::tell_refused(net::Bytes sql, std::string_view sqlstate, std::string_view message) {
  QueryEvent event;
  event.at = std::chrono::system_clock::now();
  event.client = process_id_;
  event.sql = cut(sql);
  event.status = kRefused;
  event.sqlstate = sqlstate;
  event.error = message;
  worker_.service.telemetry.sink()->publish(std::move(event));
}

}  // namespace hyperdrive::proxy::session::postgres
