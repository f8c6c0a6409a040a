#include "proxy/session/mysql/binlog_origin.hpp"

#include <fmt/format.h>

#include <charconv>
#include <random>
#include <utility>

#include "proxy/session/mysql/binlog_reader.hpp"
#include "proxy/session/mysql/dialogue.hpp"
#include "proxy/wire/mysql/response.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;
using core::Result;
using net::Task;

namespace {

constexpr std::chrono::seconds kOpening{15};
constexpr std::chrono::seconds kQuestion{5};
constexpr std::string_view kElse = "or use --invalidation writes.";
/// A file that is shorter is read from its beginning.
constexpr std::uint64_t kYoung = 64 * 1024;

constexpr std::string_view kVariables =
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format', 'gtid_mode',"
    " 'log_slave_updates', 'log_replica_updates', 'wsrep_on', 'server_id',"
    " 'binlog_optimize_thread_scheduling', 'binlog_transaction_compression',"
    " 'binlog_storage_engine')";

std::string value_of(const ServerVariables& variables, const std::string& name) {
  const auto at = variables.find(name);
  return at == variables.end() ? std::string() : at->second;
}

bool is_off(const std::string& value) { return value == "OFF" || value == "0"; }

bool keeps_replicated_writes(const ServerVariables& variables) {
  return !is_off(value_of(variables, "log_slave_updates")) &&
         !is_off(value_of(variables, "log_replica_updates"));
}

tl::unexpected<core::Error> needs(std::string_view what, std::string_view is,
                                  std::string_view change) {
  return core::fail(fmt::format("invalidation = replication needs {} at the origin; {}.", what, is),
                    fmt::format("{}, {}", change, kElse));
}

tl::unexpected<core::Error> needs_privilege(const core::Error& error) {
  return core::fail(
      "invalidation = replication needs the privileges REPLICATION SLAVE and REPLICATION CLIENT "
      "at the origin: " +
          error.message,
      "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO the origin's user, " +
          std::string(kElse));
}

std::uint32_t replica_id(const std::string& not_this) {
  constexpr std::uint32_t kHigh = 0x80000000u;
  std::random_device random;
  std::uint32_t id = 0;
  do {
    id = kHigh | (random() & 0x7ffffffeu);
  } while (std::to_string(id) == not_this);
  return id;
}

std::string random_uuid() {
  std::random_device random;
  return fmt::format("{:08x}-{:04x}-4{:03x}-8{:03x}-{:08x}{:04x}", random(), random() & 0xffff,
                     random() & 0xfff, random() & 0xfff, random(), random() & 0xffff);
}

LoginWishes wishes() {
  LoginWishes wishes;
  wishes.capabilities &= ~my::capability::kMultiStatements;
  return wishes;
}

/// log_in() as something to wait for. Not an aggregate: g++ 12 destroys members of one twice.
class Login {
 public:
  Login(net::Loop& loop, std::shared_ptr<const OriginTarget> target)
      : loop_(loop), target_(std::move(target)) {}
  Login(const Login&) = delete;
  Login& operator=(const Login&) = delete;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    attempt_ = log_in(loop_, target_, wishes(), [this, handle](LoginResult answer) {
      result_.emplace(std::move(answer));
      handle.resume();
    });
  }
  LoginResult await_resume() { return std::move(*result_); }

 private:
  net::Loop& loop_;
  std::shared_ptr<const OriginTarget> target_;
  std::unique_ptr<OriginLogin> attempt_;
  std::optional<LoginResult> result_;
};

/// One opening, from the first login to the first byte of the log.
class Opening {
 public:
  Opening(net::Loop& loop, std::shared_ptr<const OriginTarget> target)
      : loop_(loop), target_(std::move(target)), deadline_(loop.now() + kOpening) {}

  Task<Result<OpenedBinlog>> run();

 private:
  Task<Result<void>> inspect(Dialogue& questions);
  Task<Result<void>> look_for_blind_spots(Dialogue& questions);
  Task<Result<void>> find_start(Dialogue& questions);
  Task<Result<void>> request_log(Dialogue& log, std::uint64_t capabilities);

  net::Loop& loop_;
  const std::shared_ptr<const OriginTarget> target_;
  const net::TimePoint deadline_;
  OpenedBinlog opened_;
  ServerVariables variables_;
  bool is_mariadb_ = false;
  bool is_renamed_ = false;  // MySQL 8.4 and later know only the new words
  std::string file_;         // the log's, as the server names it
};

Task<Result<OpenedBinlog>> Opening::run() {
  LoginResult first = co_await Login(loop_, target_);
  if (!first) co_return tl::unexpected(first.error().error);
  is_mariadb_ = first->is_mariadb();
  is_renamed_ = !is_mariadb_ && first->version_number() >= 80400;
  opened_.questions.capabilities = first->capabilities;
  Dialogue questions(loop_, deadline_, std::move(first->stream));
  if (auto fit = co_await inspect(questions); !fit) co_return tl::unexpected(fit.error());
  LoginResult second = co_await Login(loop_, target_);
  if (!second) co_return tl::unexpected(second.error().error);
  Dialogue log(loop_, deadline_, std::move(second->stream));
  if (auto found = co_await find_start(questions); !found) {
    co_return tl::unexpected(found.error());
  }
  if (auto asked = co_await request_log(log, second->capabilities); !asked) {
    co_return tl::unexpected(asked.error());
  }
  opened_.questions.stream = questions.take_stream();
  opened_.log = log.take_stream();
  co_return std::move(opened_);
}

Task<Result<void>> Opening::inspect(Dialogue& questions) {
  const auto variables = co_await ask(questions, kVariables, opened_.questions.capabilities);
  if (!variables) co_return tl::unexpected(variables.error());
  for (const TextRow& row : *variables) {
    if (row.size() == 2 && row[0]) variables_[*row[0]] = row[1].value_or("");
  }
  if (auto fit = binlog_fitness(variables_, is_mariadb_); !fit) co_return fit;
  opened_.proof = is_mariadb_ ? CommitFence::Proof::kPosition : CommitFence::Proof::kGtid;
  co_return co_await look_for_blind_spots(questions);
}

Task<Result<void>> Opening::look_for_blind_spots(Dialogue& questions) {
  const std::uint64_t capabilities = opened_.questions.capabilities;
  const auto status =
      co_await ask(questions, is_renamed_ ? "SHOW BINARY LOG STATUS" : kMasterStatus, capabilities);
  if (!status) co_return needs_privilege(status.error());
  if (!status->empty()) {
    if (auto fit = binlog_filters_fitness(status->front()); !fit) co_return fit;
  }
  if (value_of(variables_, "binlog_transaction_compression") == "ON") {
    opened_.blind_spots.push_back(
        "Every transaction ends all cached answers: the origin compresses its log "
        "(binlog_transaction_compression).");
  }
  if (keeps_replicated_writes(variables_)) co_return Result<void>();
  const std::string_view others = is_renamed_ ? "SHOW REPLICA STATUS" : "SHOW SLAVE STATUS";
  const auto sources =
      co_await ask(questions, is_mariadb_ ? "SHOW ALL SLAVES STATUS" : others, capabilities);
  if (sources && !sources->empty()) {
    co_return needs("log_slave_updates = ON",
                    "it is a replica itself and its log leaves out what it replicates",
                    "Set log_slave_updates = ON and restart the server");
  }
  if (!sources) {
    opened_.blind_spots.push_back(
        "Whether the origin is a replica itself cannot be seen; if it is, what it replicates is "
        "not in its log (log_slave_updates is OFF).");
  }
  co_return Result<void>();
}

Task<Result<void>> Opening::find_start(Dialogue& questions) {
  const std::uint64_t capabilities = opened_.questions.capabilities;
  if (!is_mariadb_) {
    const auto executed = co_await ask(questions, "SELECT @@GLOBAL.gtid_executed", capabilities);
    if (!executed) co_return tl::unexpected(executed.error());
    const bool one = executed->size() == 1 && executed->front().size() == 1;
    const auto set = my::GtidSet::parse(one ? executed->front()[0].value_or("") : "?");
    if (!set) {
      co_return needs("global transaction identifiers without tags",
                      "its gtid_executed holds what is not understood", "Do without tags");
    }
    opened_.known = *set;
    co_return Result<void>();
  }
  const auto status = co_await ask(questions, kMasterStatus, capabilities);
  if (!status) co_return needs_privilege(status.error());
  const auto end = log_end(*status);
  if (!end) co_return core::fail("The origin does not say where its binary log ends.");
  file_ = status->front()[0].value_or("");
  opened_.horizon = *end;
  opened_.from_beginning = end->offset < kYoung;
  opened_.start = opened_.from_beginning ? my::BinlogPosition{end->file, 4} : *end;
  if (opened_.start.offset > 0xffffffffu) {
    co_return core::fail("The origin's binary log file is over 4 GB long.",
                         "FLUSH BINARY LOGS at the origin begins another.");
  }
  co_return Result<void>();
}

Task<Result<void>> Opening::request_log(Dialogue& log, std::uint64_t capabilities) {
  const auto beat = std::chrono::nanoseconds(BinlogReader::kHeartbeat).count();
  // The first event has no checksum then; behind it the format's description says what the log has.
  std::string hello =
      fmt::format("SET @master_heartbeat_period = {0}, @master_binlog_checksum = 'NONE'", beat);
  if (is_mariadb_) {
    hello += ", @mariadb_slave_capability = 4";
  } else {
    hello += fmt::format(
        ", @source_heartbeat_period = {0}, @source_binlog_checksum = 'NONE',"
        " @slave_uuid = '{1}', @replica_uuid = '{1}'",
        beat, random_uuid());
  }
  if (const auto set = co_await ask(log, hello, capabilities); !set) {
    co_return tl::unexpected(set.error());
  }
  const std::uint32_t id = replica_id(value_of(variables_, "server_id"));
  log.send_command(my::Command::kRegisterSlave, my::register_replica_argument(id, "hyperdrive"));
  const auto registered = co_await log.packet();
  if (!registered) co_return core::fail("The origin closed the connection for its log.");
  if (registered->first() != my::reply::kOk) {
    const auto error = my::parse_err(registered->payload);
    core::Error words;
    words.message = error ? std::string(error->message) : "it would not register a replica";
    co_return needs_privilege(words);
  }
  if (is_mariadb_) {
    log.send_command(
        my::Command::kBinlogDump,
        my::binlog_dump_argument(id, file_, static_cast<std::uint32_t>(opened_.start.offset)));
  } else {
    log.send_command(my::Command::kBinlogDumpGtid,
                     my::binlog_dump_gtid_argument(id, opened_.known));
  }
  co_return Result<void>();
}

}  // namespace

Result<void> binlog_fitness(const ServerVariables& variables, bool is_mariadb) {
  const std::string format = value_of(variables, "binlog_format");
  const std::string gtids = value_of(variables, "gtid_mode");
  if (value_of(variables, "log_bin") != "ON") {
    return needs("log_bin", "it is off", "Set log_bin in the server's configuration and restart");
  }
  if (!format.empty() && format != "ROW") {
    return needs("binlog_format = ROW", fmt::format("it is {}", format),
                 "SET GLOBAL binlog_format = ROW, and in the server's configuration");
  }
  if (is_off(value_of(variables, "binlog_optimize_thread_scheduling"))) {
    return needs("binlog_optimize_thread_scheduling = ON", "it is OFF",
                 "Leave out skip_binlog_optimize_thread_scheduling and restart");
  }
  if (const std::string engine = value_of(variables, "binlog_storage_engine"); !engine.empty()) {
    return needs("a binary log in files", fmt::format("binlog_storage_engine is {}", engine),
                 "Leave binlog_storage_engine empty");
  }
  if (!is_mariadb && gtids != "ON") {
    return needs("gtid_mode = ON", fmt::format("it is {}", gtids.empty() ? "not there" : gtids),
                 "Set gtid_mode = ON and enforce_gtid_consistency = ON");
  }
  const std::string cluster = value_of(variables, "wsrep_on");
  if (!cluster.empty() && !is_off(cluster) && !keeps_replicated_writes(variables)) {
    return needs("log_slave_updates = ON",
                 "it is a node of a cluster whose log leaves out what other nodes write",
                 "Set log_slave_updates = ON and restart the server");
  }
  return {};
}

Result<void> binlog_filters_fitness(const TextRow& status) {
  const auto column = [&](std::size_t i) {
    return i < status.size() ? status[i].value_or("") : std::string();
  };
  for (const auto& [index, name] : {std::pair<std::size_t, const char*>{2, "binlog_do_db"},
                                    std::pair<std::size_t, const char*>{3, "binlog_ignore_db"}}) {
    if (column(index).empty()) continue;
    // A filter by database goes by the current one where definitions are logged: it may hide those
    // of any other.
    return needs("a binary log without filters", fmt::format("{} is {}", name, column(index)),
                 fmt::format("Leave out {} and restart the server", name));
  }
  return {};
}

std::optional<my::BinlogPosition> log_end(const std::vector<TextRow>& rows) {
  if (rows.empty() || rows[0].size() < 2 || !rows[0][0] || !rows[0][1]) return std::nullopt;
  const auto file = my::binlog_file_number(*rows[0][0]);
  const std::string& text = *rows[0][1];
  std::uint64_t offset = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), offset);
  if (!file || error != std::errc()) return std::nullopt;
  return my::BinlogPosition{*file, offset};
}

Task<Result<OpenedBinlog>> open_binlog(net::Loop& loop,
                                       std::shared_ptr<const OriginTarget> target) {
  Opening opening(loop, std::move(target));
  co_return co_await opening.run();
}

Task<Answered> ask_once(net::Loop& loop, IdleConnection connection, std::string sql) {
  Dialogue dialogue(loop, loop.now() + kQuestion, std::move(connection.stream));
  auto rows = co_await ask(dialogue, sql, connection.capabilities);
  if (dialogue.failure() == Dialogue::Failure::kNone) connection.stream = dialogue.take_stream();
  Answered answered{std::move(connection), std::move(rows)};
  co_return answered;
}

}  // namespace hyperdrive::proxy::session::mysql
