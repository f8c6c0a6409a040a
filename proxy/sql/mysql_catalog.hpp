// A snapshot of a MySQL or MariaDB origin's information_schema, and what it makes of an Analysis:
// the base tables that an answer depends on, the tables that a write reaches.
//
// Pure data, as catalog.hpp is for Postgres: whoever owns the origin connection asks
// mysql_catalog_queries() and feeds the rows to a MysqlCatalogBuilder. Default deny: a table that
// is not known here is not cacheable, and a write to it may write anything.
//
// What a user may not see it cannot be told: where the origin hides the triggers of some database
// from the proxy's user, every write counts as one of everything (blind_spot() says so).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "proxy/sql/analysis.hpp"
#include "proxy/sql/catalog.hpp"
#include "proxy/sql/mysql_lexer.hpp"

namespace hyperdrive::proxy::sql {

using MysqlTableId = std::uint64_t;  ///< by the table's names, so that it outlives a snapshot

/// Statements that fill a catalog, in order. Before them the session needs `SET NAMES utf8mb4,
/// sql_mode = ''`; the values of mysql_session_query() have to be read before that.
std::vector<std::string_view> mysql_catalog_queries(MysqlServer server);

/// One row: lower_case_table_names, sql_mode, character_set_client, isolation level,
/// sql_auto_is_null. (The level's variable has two names: ask the first query, on an error the
/// second.)
std::span<const std::string_view> mysql_session_queries();

struct MysqlResolution {
  CacheStatus status = CacheStatus::kMiss;  ///< kMiss: may be cached
  std::string reason;                       ///< in words; empty for kMiss
  std::vector<MysqlTableId> tables;         ///< complete only for kMiss; sorted, distinct
  std::vector<MysqlTableId> writes;         ///< with all they reach; sorted, distinct
  bool writes_everything = false;
  std::string writes_reason;  ///< why everything: "trigger on shop.orders"
  bool changes_catalog = false;
  /// A trigger or a function may make temporary tables or take locks, of which the origin does not
  /// tell.
  bool leaves_state = false;
  /// A parameter of a date's type, or of type TIME, may make the answer depend on today's date.
  bool times_meet_parameters = false;
  bool dates_meet_parameters = false;
};

/// Whether the statements may change what a catalog is made of.
bool changes_mysql_catalog(const Analysis& analysis);

struct MysqlCatalogData;

class MysqlCatalog {
 public:
  ~MysqlCatalog();
  MysqlCatalog(const MysqlCatalog&) = delete;
  MysqlCatalog& operator=(const MysqlCatalog&) = delete;

  /// `database`: the session's current one; empty: none.
  MysqlResolution resolve(const Analysis& analysis, std::string_view database) const;

  std::string table_name(MysqlTableId table) const;  ///< "database.table"; empty: unknown
  /// Tables whose "database.table" or (in `database`) "table" matches the glob (`*`, `?`).
  std::vector<MysqlTableId> tables_matching(std::string_view glob, std::string_view database) const;
  /// A table with all that depends on a write to it; empty: unknown, or it may write anything.
  std::vector<MysqlTableId> reach(std::string_view database, std::string_view table) const;
  /// Tables that change with rows of this one that the origin's log tells of. Triggers do not
  /// count: what they write is in the log itself. What a foreign key changes is not. Empty:
  /// unknown.
  std::vector<MysqlTableId> reach_of_logged(std::string_view database,
                                            std::string_view table) const;
  std::size_t table_count() const;
  /// Why every write counts as one of everything; empty: it does not.
  const std::string& blind_spot() const;
  /// A stored procedure holds the word, or its body cannot be seen.
  bool calls_may_set_role() const;
  /// False: there is no trigger and no stored function that a plain statement may run.
  bool may_hide_state() const;
  /// Changes when anything does that a catalog is made of.
  std::uint64_t fingerprint() const;

 private:
  friend class MysqlCatalogBuilder;
  explicit MysqlCatalog(std::unique_ptr<const MysqlCatalogData> data);
  std::unique_ptr<const MysqlCatalogData> data_;
};

/// `cache explain`: what would become of the text in a session whose database is `database`.
Explanation explain_mysql(const Analysis& analysis, const MysqlCatalog& catalog,
                          std::string_view database);

/// One builder per snapshot, one thread.
class MysqlCatalogBuilder {
 public:
  using Row = std::span<const std::optional<std::string>>;  ///< nullopt: NULL

  /// `lower_case_names`: lower_case_table_names is not 0.
  explicit MysqlCatalogBuilder(bool lower_case_names);
  ~MysqlCatalogBuilder();

  /// A row of mysql_catalog_queries()[query].
  core::Result<void> add(std::size_t query, Row row);
  std::shared_ptr<const MysqlCatalog> build();

 private:
  std::unique_ptr<MysqlCatalogData> data_;
};

}  // namespace hyperdrive::proxy::sql
