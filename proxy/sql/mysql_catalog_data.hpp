// What a MysqlCatalog holds: the rows of mysql_catalog_queries(), indexed by name.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "proxy/sql/mysql_catalog.hpp"

namespace hyperdrive::proxy::sql {

struct MysqlTable {
  MysqlTableId id = 0;
  std::string database;
  std::string name;
  std::string unfit;       ///< why its rows are not for the cache; empty: they are
  std::string definition;  ///< of a view
  bool is_view = false;
  bool has_trigger = false;
  bool trigger_leaves_state = false;
  bool stands_for_others = false;  ///< its rows may be those of other tables
  std::string today;  ///< a virtual column's reason why its value depends on the moment
  std::vector<std::string> times;  ///< columns of type TIME, in lower case
  bool has_dates = false;          ///< columns of type DATE, DATETIME, TIMESTAMP
  bool has_generated = false;      ///< columns; of generated_reads_dates, one that reads dates
  bool generated_reads_dates = false;
  std::vector<MysqlTableId> cascades;
};

struct MysqlCatalogData {
  bool lower_case_names = false;
  std::unordered_map<MysqlTableId, MysqlTable> tables;
  std::unordered_set<std::string> functions;  ///< database, a zero byte, name in lower case
  /// Of these, those that are named as what no function is, for which a call is not told from it.
  std::vector<std::pair<std::string, std::string>> odd_functions;  ///< database, name
  std::string blind_spot;
  bool calls_may_set_role = false;
  bool may_hide_state = false;  ///< set by build(): see MysqlCatalog
  std::uint64_t fingerprint = 0;

  /// Analyses of view definitions, made when first asked for.
  mutable std::mutex views_mutex;
  mutable std::unordered_map<MysqlTableId, std::shared_ptr<const Analysis>> views;

  MysqlTableId id(std::string_view database, std::string_view table) const;
  const MysqlTable* find(std::string_view database, std::string_view table) const;
  const MysqlTable* find(MysqlTableId id) const;
  /// Null: the definition reads differently by the settings under which it is read.
  std::shared_ptr<const Analysis> view(const MysqlTable& view) const;
};

/// One resolution of one Analysis.
class MysqlResolver {
 public:
  MysqlResolver(const MysqlCatalogData& data, std::string_view database)
      : data_(data), database_(database) {}

  void read(const Analysis& analysis);
  enum class Reach { kCascades, kAddsOnly };
  void write(const Name& target, Reach reach);
  void may_write_anything(std::string reason);
  /// Likewise, and by functions that may leave anything in the session.
  void may_reach_anything(std::string reason);
  MysqlResolution take(const Analysis& analysis);

 private:
  void refuse(std::string reason);
  void refuse_volatile(std::string reason);
  void read_table(const Name& name, const Analysis& analysis);
  void read_view(const MysqlTable& view);
  void judge_calls(const Analysis& analysis);
  void judge_times(const Analysis& analysis);
  void write_table(const MysqlTable& table, Reach reach);
  std::string_view database_of(const Name& name) const {
    return name.schema.empty() ? std::string_view(database_) : std::string_view(name.schema);
  }

  const MysqlCatalogData& data_;
  std::string database_;
  int depth_ = 0;
  std::string volatile_reason_, uncacheable_reason_, anything_reason_;
  std::set<MysqlTableId> reads_, writes_;
  std::set<MysqlTableId> cascaded_;  ///< of writes_, those whose children are in it
  bool leaves_state_ = false;
  bool reads_view_ = false;
  bool reads_dates_ = false;  ///< the text does, or that of a view
  bool makes_times_ = false;  ///< likewise
  bool times_meet_parameters_ = false;
  bool dates_meet_parameters_ = false;
};

}  // namespace hyperdrive::proxy::sql
