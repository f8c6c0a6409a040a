// The streaming replication sub-protocol, as far as a reader of logical changes needs it: what
// travels inside CopyData after START_REPLICATION. Pure functions over bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "proxy/wire/postgres/protocol.hpp"

namespace hyperdrive::proxy::wire::postgres {

/// A position in the write-ahead log.
using Lsn = std::uint64_t;

struct XLogData {
  Lsn start = 0;  ///< of this piece
  Lsn end = 0;    ///< of the log, as the server knows it
  Bytes payload;  ///< of the output plugin
};
struct PrimaryKeepalive {
  Lsn end = 0;
  bool reply_requested = false;
};

/// The body of a CopyData message; nothing if it is not such a message. The payload may be cut
/// short (of a huge row): it is what has arrived.
std::optional<XLogData> parse_xlog_data(Bytes body);
std::optional<PrimaryKeepalive> parse_primary_keepalive(Bytes body);

/// A whole CopyData message: everything up to `position` has been received and dealt with.
void append_standby_status(std::string& out, Lsn position, std::int64_t now_us, bool ask_for_reply);

/// "16/B374D848"
std::string format_lsn(Lsn lsn);
std::optional<Lsn> parse_lsn(Bytes text);

}  // namespace hyperdrive::proxy::wire::postgres
