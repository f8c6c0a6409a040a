#include "proxy/session/postgres/replication.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

#include "proxy/session/postgres/test_decoding.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace wire = wire::postgres;

namespace {
std::string slot_name() {
  std::random_device random;
  return fmt::format("hyperdrive_{:08x}{:08x}", random(), random());
}
}  // namespace

ReplicationReader::ReplicationReader(net::Loop& loop, std::unique_ptr<net::Stream> stream,
                                     Events events)
    : loop_(loop),
      events_(std::move(events)),
      connection_(std::move(stream), [this](std::string why) { give_up(why); }),
      timer_(loop.timer([this] { beat(); })) {
  create_slot();
}

void ReplicationReader::create_slot() {
  const std::string slot = slot_name();
  connection_.ask(
      "CREATE_REPLICATION_SLOT " + slot + " TEMPORARY LOGICAL test_decoding NOEXPORT_SNAPSHOT",
      [this](std::size_t, SideConnection::Row row) {
        // slot_name, consistent_point, snapshot_name, output_plugin
        if (row.size() > 1 && row[1]) seen_ = wire::parse_lsn(*row[1]).value_or(0);
      },
      [this, slot](core::Result<void> result) {
        if (!result) {
          const auto started = std::exchange(events_.started, nullptr);
          if (started) started(tl::unexpected(std::move(result.error())));
          return;
        }
        start(slot);
      });
}

void ReplicationReader::start(const std::string& slot) {
  // Empty transactions are wanted: they are the ones that change the schema.
  const std::string command = "START_REPLICATION SLOT " + slot + " LOGICAL " +
                              wire::format_lsn(seen_) +
                              " (\"include-xids\" '1', \"include-timestamp\" '0',"
                              " \"skip-empty-xacts\" '0')";
  connection_.stream(
      command, [this](std::string_view body) { copy_data(body); },
      [this](core::Result<void> result) {
        streaming_ = result.has_value();
        heard_ = loop_.now();
        if (streaming_) timer_->arm(kAskAfter);
        const auto started = std::exchange(events_.started, nullptr);
        if (started) started(std::move(result));
      });
}

void ReplicationReader::copy_data(std::string_view body) {
  heard_ = loop_.now();
  if (const auto data = wire::parse_xlog_data(body)) {
    seen_ = std::max({seen_, data->start});
    return line(data->payload);
  }
  const auto keepalive = wire::parse_primary_keepalive(body);
  if (!keepalive) return give_up("it sent what is neither data nor a keepalive");
  seen_ = std::max(seen_, keepalive->end);
  if (keepalive->reply_requested) report(false);
}

void ReplicationReader::line(std::string_view text) {
  auto decoded = parse_decoded_line(text);
  if (!decoded) return give_up("its output plugin wrote what is not understood");
  switch (decoded->kind) {
    case DecodedLine::Kind::kBegin:
      transaction_ = {decoded->xid, {}};
      return;
    case DecodedLine::Kind::kChange:
      for (sql::Name& table : decoded->tables) {
        auto& known = transaction_.tables;
        if (!known.empty() && known.back() == table) continue;
        if (std::find(known.begin(), known.end(), table) == known.end()) {
          known.push_back(std::move(table));
        }
      }
      return;
    case DecodedLine::Kind::kCommit:
      transaction_.xid = decoded->xid;
      return events_.commit(std::exchange(transaction_, {}));
    case DecodedLine::Kind::kOther:
      return;
  }
}

void ReplicationReader::beat() {
  const auto silent = loop_.now() - heard_;
  if (silent >= kLostAfter) return give_up("it has been silent for 10 s");
  report(silent >= kAskAfter);
  timer_->arm(kAskAfter);
}

void ReplicationReader::report(bool ask_for_reply) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  std::string message;
  wire::append_standby_status(message, seen_,
                              std::chrono::duration_cast<std::chrono::microseconds>(now).count(),
                              ask_for_reply);
  connection_.send(message);
}

void ReplicationReader::give_up(const std::string& why) {
  timer_->disarm();
  if (!std::exchange(streaming_, false)) return;
  // The callback may destroy this reader.
  const auto lost = std::exchange(events_.lost, nullptr);
  if (lost) lost(why);
}

}  // namespace hyperdrive::proxy::session::postgres
