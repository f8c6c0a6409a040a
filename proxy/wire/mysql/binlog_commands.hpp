// What a replica says: who it is, and from where it wants the log. Sets of MySQL's global
// transaction identifiers, which is how MySQL is told where.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication.html  Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "proxy/wire/mysql/packet.hpp"

namespace hyperdrive::proxy::wire::mysql {

/// "uuid:1-5:7,uuid2:1-3". Tagged ones (MySQL 8.3) are not understood.
class GtidSet {
 public:
  struct Interval {
    std::uint64_t first = 0, last = 0;  ///< both are in it
    friend bool operator==(const Interval&, const Interval&) = default;
  };

  static std::optional<GtidSet> parse(std::string_view text);
  /// "uuid:n"; false if it is none.
  bool add(std::string_view gtid);
  std::string text() const;
  /// As COM_BINLOG_DUMP_GTID carries it.
  std::string encoded() const;
  bool empty() const { return sources_.empty(); }

 private:
  void insert(const std::string& source, Interval interval);
  std::map<std::string, std::vector<Interval>> sources_;  // ascending, apart from each other
};

/// Arguments of the commands: the payload behind the command byte.
/// `id`: unique among all servers of the topology. It shows us in SHOW REPLICAS.
std::string register_replica_argument(std::uint32_t id, std::string_view name);
std::string binlog_dump_argument(std::uint32_t id, std::string_view file, std::uint32_t offset);
/// Everything that is not in the set.
std::string binlog_dump_gtid_argument(std::uint32_t id, const GtidSet& known);

}  // namespace hyperdrive::proxy::wire::mysql
