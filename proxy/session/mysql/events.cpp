// Client: what listeners hear. Nothing here runs while nobody listens.
#include "proxy/session/mysql/client.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace {

constexpr std::size_t kMaxSql = 4096;

std::string feature_names(std::uint16_t bits) {
  std::string out;
  for (std::size_t i = 0; i < kFeatureCount; ++i) {
    if ((bits & (1u << i)) == 0) continue;
    if (!out.empty()) out += ", ";
    out += name(static_cast<Feature>(i));
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

/// The first word, in capitals.
std::string command_of(std::string_view sql) {
  std::size_t at = 0;
  while (at < sql.size() && !std::isalpha(static_cast<unsigned char>(sql[at]))) ++at;
  std::string out;
  for (; at < sql.size() && std::isalpha(static_cast<unsigned char>(sql[at])); ++at) {
    out += static_cast<char>(std::toupper(static_cast<unsigned char>(sql[at])));
  }
  return out;
}

}  // namespace

void Client::set_cache_outcome(sql::CacheStatus status, std::string_view reason) {
  cache_status_ = status;
  if (worker_.service.telemetry.listening()) cache_reason_ = reason;
}

void Client::tell(const Outcome& outcome, std::uint64_t waited_us) {
  if (running_.text == nullptr) return;
  QueryEvent event;
  event.at = std::chrono::system_clock::now();
  event.client = id_;
  event.sql = cut(running_.text->text);
  const bool prepares = running_.command == wire::mysql::Command::kStmtPrepare;
  event.command = prepares ? "PREPARE" : command_of(running_.text->text);
  event.status = name(prepares ? sql::CacheStatus::kNotAQuery : cache_status_);
  event.reason = prepares ? "it is prepared, not run" : cache_reason_;
  const auto spent = std::chrono::steady_clock::now() - running_.since;
  event.origin_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(spent).count());
  event.wait_us = waited_us;
  event.duration_us = event.origin_us + waited_us;
  event.rows = outcome.rows != 0 ? outcome.rows : outcome.affected_rows;
  event.bytes = outcome.bytes;
  if (outcome.failed) {
    event.sqlstate = outcome.sqlstate;
    event.error = outcome.message;
  }
  event.pinned = feature_names(pins_);
  event.refused_in_production =
      feature_names(static_cast<std::uint16_t>(pins_ | running_.findings));
  worker_.service.telemetry.sink()->publish(std::move(event));
}

/// What was answered here, with an error, and never reached the origin.
void Client::tell_refused(const Message& message) {
  const auto refusal = std::exchange(untold_, nullptr);
  if (!refusal) return;
  QueryEvent event;
  event.at = std::chrono::system_clock::now();
  event.client = id_;
  using wire::mysql::Command;
  const Command command = message.command();
  if (command == Command::kQuery || command == Command::kStmtPrepare) {
    event.sql = cut(message.argument());
  } else if (const ClientStatement* statement = find_statement(message);
             statement != nullptr && command == Command::kStmtExecute) {
    event.sql = cut(statement->text->text);
  } else {
    return;  // no statement
  }
  event.command = command == Command::kStmtPrepare ? "PREPARE" : command_of(event.sql);
  event.status = kRefused;
  event.sqlstate = refusal->sqlstate;
  event.error = refusal->message;
  worker_.service.telemetry.sink()->publish(std::move(event));
}

void Client::tell_session(bool connected) {
  if (!worker_.service.telemetry.listening()) return;
  SessionEvent event;
  event.at = std::chrono::system_clock::now();
  event.connected = connected;
  event.client = id_;
  event.user = user_;
  const auto clients = worker_.service.telemetry.clients.load(std::memory_order_relaxed);
  event.clients = connected ? clients : clients - 1;
  worker_.service.telemetry.sink()->publish(std::move(event));
}

}  // namespace hyperdrive::proxy::session::mysql
