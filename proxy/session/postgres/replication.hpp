// Follows the origin's write-ahead log: a temporary logical slot read with test_decoding.
//
//   open ──► CREATE_REPLICATION_SLOT … TEMPORARY ──► START_REPLICATION ──► events … ──► lost
//
// The slot is temporary: the server drops it when the connection ends, however it ends, so that no
// kind of death leaves one behind to fill the disk. A reader is used once; after a loss a new one
// starts at a new slot, and in between nothing is known (cache_keeper.hpp distrusts everything).
//
// One loop, its thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "proxy/net/loop.hpp"
#include "proxy/session/postgres/side_connection.hpp"
#include "proxy/sql/analysis.hpp"
#include "proxy/wire/postgres/replication.hpp"

namespace hyperdrive::proxy::session::postgres {

struct LoggedCommit {
  std::uint32_t xid = 0;
  /// Tables it changed. None: only catalogs, perhaps; the schema may have changed.
  std::vector<sql::Name> tables;
};

class ReplicationReader {
 public:
  struct Events {
    /// Everything committed from here on will be told. The error says why not.
    std::function<void(core::Result<void>)> started;
    std::function<void(LoggedCommit)> commit;
    /// Called once after `started` succeeded; may destroy the reader.
    std::function<void(std::string why)> lost;
  };

  /// The server may be silent this long before it is asked, and before it counts as lost.
  static constexpr std::chrono::milliseconds kAskAfter{2'000};
  static constexpr std::chrono::milliseconds kLostAfter{10'000};

  /// `stream`: logged in with replication=database.
  ReplicationReader(net::Loop& loop, std::unique_ptr<net::Stream> stream, Events events);

 private:
  void create_slot();
  void start(const std::string& slot);
  void copy_data(std::string_view body);
  void line(std::string_view text);
  void beat();
  void report(bool ask_for_reply);
  void give_up(const std::string& why);

  net::Loop& loop_;
  Events events_;
  SideConnection connection_;
  std::unique_ptr<net::Timer> timer_;
  wire::postgres::Lsn seen_ = 0;
  net::TimePoint heard_;
  bool streaming_ = false;
  LoggedCommit transaction_;
};

}  // namespace hyperdrive::proxy::session::postgres
