// Follows the origin's binary log on a connection that has just been sent COM_BINLOG_DUMP: bytes
// become events (wire/mysql/binlog.hpp), events become groups, one for each transaction.
//
// Of an event only its beginning is kept (kKept bytes): what tells a table or an end is there, rows
// are passed over as they come, however long. A reader is used once; after `lost` nothing is known.
// One loop, its thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/net/loop.hpp"
#include "proxy/sql/analysis.hpp"
#include "proxy/wire/mysql/binlog.hpp"

namespace hyperdrive::proxy::session::mysql {

/// A statement that the log has as text.
struct LoggedStatement {
  std::string database;
  std::string text;
  std::optional<std::uint64_t> sql_mode;
};

/// One transaction, or one statement that was logged by itself.
struct LoggedGroup {
  wire::mysql::BinlogPosition end;  ///< where it ends; of no meaning where `gtid` is set
  std::string gtid;                 ///< MySQL's name for it
  std::vector<LoggedStatement> statements;
  bool anything = false;         ///< some of it is not understood
  bool commits_loosely = false;  ///< MariaDB: its engines commit a moment after the log, unordered
};

class BinlogReader final : public net::StreamHandler {
 public:
  struct Events {
    /// An event has been read; position() may be another. The first call says that the origin
    /// sends.
    std::function<void()> moved;
    /// Rows of a table, in the group that is being read; told once a group for each table.
    std::function<void(const sql::Name&)> rows;
    std::function<void(LoggedGroup)> group;
    /// MariaDB: commits of files before this one are done.
    std::function<void(std::uint64_t file)> checkpoint;
    /// Called once; nothing follows. It may destroy the reader.
    std::function<void(std::string why)> lost;
  };

  /// Longer statements are not read: they may have changed anything.
  static constexpr std::size_t kKept = 64 * 1024;
  static constexpr std::chrono::milliseconds kHeartbeat{1'000};
  static constexpr std::chrono::milliseconds kLostAfter{10'000};

  /// `start`: where the first event begins.
  BinlogReader(net::Loop& loop, std::unique_ptr<net::Stream> stream,
               wire::mysql::BinlogPosition start, Events events);
  ~BinlogReader() override;

  /// Behind the last event read.
  wire::mysql::BinlogPosition position() const { return position_; }

 private:
  std::size_t on_data(net::Bytes data) override;
  void on_closed(net::CloseReason reason) override;
  std::size_t take(net::Bytes data);
  void packet();
  void event(const wire::mysql::BinlogEvent& event);
  void dispatch(const wire::mysql::BinlogEvent& event);
  void advance(const wire::mysql::BinlogEvent& event);
  void statement(const wire::mysql::BinlogEvent& event);
  void end_group();
  void watch();
  void give_up(std::string why);

  net::Loop& loop_;
  std::unique_ptr<net::Stream> stream_;
  Events events_;
  std::unique_ptr<net::Timer> timer_;
  net::TimePoint heard_;
  bool lost_ = false;

  std::string kept_;      // of the packet that is coming, its first byte (0) included
  std::size_t left_ = 0;  // of the part that is coming
  bool in_part_ = false;  // its header has been read
  bool goes_on_ = false;  // another part follows
  wire::mysql::BinlogDecoder decoder_;
  wire::mysql::BinlogPosition position_;

  LoggedGroup group_;
  std::vector<sql::Name> tables_;  // of the group
  bool in_group_ = false;
  bool alone_ = false;  // its statement ends it
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace hyperdrive::proxy::session::mysql
