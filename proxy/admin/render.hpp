// The admin API's values as JSON (docs/admin-api.md) and as Prometheus text. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "proxy/admin/backend.hpp"
#include "proxy/admin/event_hub.hpp"

namespace hyperdrive::proxy::admin {

using Json = nlohmann::ordered_json;

Json to_json(const Status& status);
Json to_json(const Stats& stats);
Json to_json(const QueryClass& query);
Json to_json(const Explanation& explanation);
Json to_json(const core::Error& error);
Json to_json(const Event& event, std::uint64_t sequence);

/// Lines of /v1/events for a batch; `with_sql` false leaves the texts out.
std::string event_lines(const EventBatch& batch, bool with_sql);

/// One line; bytes that are not UTF-8 (SQL in another encoding) are replaced.
std::string dump(const Json& json);

std::string prometheus_text(const Status& status, const Stats& stats);

/// RFC 3339, UTC, milliseconds.
std::string timestamp(Clock::time_point at);
inline constexpr std::size_t kMaxEventSql = 4096;
/// At most `size` bytes, cut between characters.
std::string_view cut_utf8(std::string_view text, std::size_t size);

}  // namespace hyperdrive::proxy::admin
