// Opening the origin's binary log: is it fit to be followed, from where, and the stream itself.
//
// Two connections come of it: one for questions, one that the log flows in on. What is refused, and
// why, is judged by the server's own settings before anything is asked to flow (binlog_fitness, a
// pure function), and each refusal names the setting.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "proxy/net/loop.hpp"
#include "proxy/net/task.hpp"
#include "proxy/session/mysql/commit_fence.hpp"
#include "proxy/session/mysql/origin_login.hpp"
#include "proxy/session/mysql/question.hpp"
#include "proxy/wire/mysql/binlog_commands.hpp"

namespace hyperdrive::proxy::session::mysql {

/// Variables by their names, values as SHOW GLOBAL VARIABLES has them.
using ServerVariables = std::map<std::string, std::string>;

/// An error if the log of such a server does not tell of all writes.
core::Result<void> binlog_fitness(const ServerVariables& variables, bool is_mariadb);
/// Of SHOW MASTER STATUS's row: an error if databases are left out of the log.
core::Result<void> binlog_filters_fitness(const TextRow& status);

/// A connection that waits for a command.
struct IdleConnection {
  std::unique_ptr<net::Stream> stream;
  std::uint64_t capabilities = 0;
};

struct OpenedBinlog {
  IdleConnection questions;
  std::unique_ptr<net::Stream> log;  ///< COM_BINLOG_DUMP has been sent
  CommitFence::Proof proof{};
  /// kPosition: the log flows from `start`; all that was in it when it was opened ends at
  /// `horizon`. A young file is read from its beginning, so that its checkpoint event is seen.
  wire::mysql::BinlogPosition start, horizon;
  bool from_beginning = false;
  wire::mysql::GtidSet known;  ///< kGtid: what is not in it flows
  std::vector<std::string> blind_spots;
};

net::Task<core::Result<OpenedBinlog>> open_binlog(net::Loop& loop,
                                                  std::shared_ptr<const OriginTarget> target);

/// One question on a connection that is idle between them; it comes back with the answer, without a
/// stream if it was lost.
struct Answered {
  IdleConnection connection;
  core::Result<std::vector<TextRow>> rows;
};
net::Task<Answered> ask_once(net::Loop& loop, IdleConnection connection, std::string sql);

/// Where the log ends, of SHOW MASTER STATUS's rows.
std::optional<wire::mysql::BinlogPosition> log_end(const std::vector<TextRow>& rows);
inline constexpr std::string_view kMasterStatus = "SHOW MASTER STATUS";

}  // namespace hyperdrive::proxy::session::mysql
