#include "proxy/sql/mysql_catalog.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "proxy/sql/mysql_analysis.hpp"
#include "proxy/sql/mysql_builtins.hpp"
#include "proxy/sql/mysql_catalog_data.hpp"

namespace hyperdrive::proxy::sql {
namespace {

#define HYPERDRIVE_USER_DATABASES(column) \
  column " NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')"
// 'user'@'host' as the privilege tables spell it.
#define HYPERDRIVE_GRANTEE                                          \
  "CONCAT('''', SUBSTRING_INDEX(CURRENT_USER(), '@', 1), '''@''', " \
  "SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '''')"

enum Query : std::size_t {
  kTables,
  kViews,
  kTriggers,
  kForeignKeys,
  kFunctions,
  kColumns,
  kBlind,
  kGrants,  ///< from MySQL 8.0.16 up: what is granted everywhere may be revoked for one database
  kQueries
};

constexpr std::array<std::string_view, kQueries> kCatalogQueries = {
    "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE FROM information_schema.TABLES"
    " WHERE " HYPERDRIVE_USER_DATABASES("TABLE_SCHEMA"),
    "SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS"
    " WHERE " HYPERDRIVE_USER_DATABASES("TABLE_SCHEMA"),
    "SELECT EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, ACTION_STATEMENT"
    " FROM information_schema.TRIGGERS"
    " WHERE " HYPERDRIVE_USER_DATABASES("EVENT_OBJECT_SCHEMA"),
    // The parent first, then the child that a change of the parent changes.
    "SELECT UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME, CONSTRAINT_SCHEMA, TABLE_NAME"
    " FROM information_schema.REFERENTIAL_CONSTRAINTS"
    " WHERE UPDATE_RULE NOT IN ('RESTRICT', 'NO ACTION')"
    " OR DELETE_RULE NOT IN ('RESTRICT', 'NO ACTION')",
    "SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE,"
    " ROUTINE_DEFINITION IS NULL OR LOWER(ROUTINE_DEFINITION) LIKE '%role%'"
    " FROM information_schema.ROUTINES WHERE " HYPERDRIVE_USER_DATABASES("ROUTINE_SCHEMA"),
    "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, GENERATION_EXPRESSION"
    " FROM information_schema.COLUMNS WHERE " HYPERDRIVE_USER_DATABASES("TABLE_SCHEMA")
    " AND (DATA_TYPE IN ('time', 'date', 'datetime', 'timestamp')"
    " OR GENERATION_EXPRESSION <> '')",
    "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA s"
    " WHERE " HYPERDRIVE_USER_DATABASES("SCHEMA_NAME")
    " AND NOT EXISTS (SELECT 1 FROM information_schema.USER_PRIVILEGES u"
    " WHERE u.GRANTEE = " HYPERDRIVE_GRANTEE " AND u.PRIVILEGE_TYPE = 'TRIGGER')"
    " AND NOT EXISTS (SELECT 1 FROM information_schema.SCHEMA_PRIVILEGES p"
    " WHERE p.GRANTEE = " HYPERDRIVE_GRANTEE " AND p.PRIVILEGE_TYPE = 'TRIGGER'"
    " AND s.SCHEMA_NAME LIKE p.TABLE_SCHEMA)",
    "SHOW GRANTS"};

constexpr std::string_view kColumnsWithoutGenerated =
    "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, ''"
    " FROM information_schema.COLUMNS WHERE " HYPERDRIVE_USER_DATABASES(
        "TABLE_SCHEMA") " AND DATA_TYPE IN ('time', 'date', 'datetime', 'timestamp')";

constexpr std::array<std::string_view, 2> kSessionQueries = {
    "SELECT @@lower_case_table_names, @@sql_mode, @@global.character_set_client, @@tx_isolation,"
    " @@sql_auto_is_null",
    "SELECT @@lower_case_table_names, @@sql_mode, @@global.character_set_client,"
    " @@transaction_isolation, @@sql_auto_is_null"};

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return out;
}

/// FNV-1a, over two parts with a zero byte between them.
std::uint64_t hash(std::string_view first, std::string_view second) {
  std::uint64_t value = 14695981039346656037ull;
  const auto eat = [&](unsigned char c) { value = (value ^ c) * 1099511628211ull; };
  for (const char c : first) eat(static_cast<unsigned char>(c));
  eat(0);
  for (const char c : second) eat(static_cast<unsigned char>(c));
  return value;
}

/// Whether a trigger's body may make temporary tables or take locks: of settings and user variables
/// the origin tells, of these it does not.
bool leaves_state(const std::string& body) {
  const auto analysis = analyse_mysql("BEGIN NOT ATOMIC " + body);
  const auto& words = analysis->mysql.words;
  for (const std::string_view word : {"temporary", "get_lock", "call"}) {
    if (std::binary_search(words.begin(), words.end(), std::string(word))) return true;
  }
  return std::any_of(analysis->functions.begin(), analysis->functions.end(), [](const Call& call) {
    return !call.name.schema.empty() || !mysql_function_writes_nothing(lowered(call.name.name));
  });
}

/// REVOKE …, TRIGGER ON `shop`.* FROM …: the database, else nothing.
std::string revoked_database(std::string_view grant) {
  const auto names = grant.find(" ON ");
  const bool revokes = grant.starts_with("REVOKE ") && names != grant.npos &&
                       (grant.substr(0, names).find("TRIGGER") != grant.npos ||
                        grant.substr(0, names).find("ALL") != grant.npos);
  if (!revokes) return {};
  const auto name = grant.substr(names + 4);
  return std::string(name.substr(0, name.find(" FROM ")));
}

/// Engines whose rows change by statements of this origin alone.
std::string unfitness(std::string_view type, std::string_view engine) {
  if (type == "VIEW") return {};
  if (type == "SEQUENCE") return "is a sequence";
  if (type != "BASE TABLE" && type != "SYSTEM VERSIONED") {
    return "is no table that the cache knows: " + lowered(type);
  }
  constexpr std::array<std::string_view, 6> kFit = {"innodb",  "myisam", "aria",
                                                    "rocksdb", "tokudb", "archive"};
  const std::string name = lowered(engine);
  if (std::find(kFit.begin(), kFit.end(), name) != kFit.end()) return {};
  if (name == "memory") return "is of engine MEMORY, which a restart of the origin empties";
  return "is of engine " + std::string(engine) + ", whose rows may change by themselves";
}

/// MERGE, FEDERATED, SPIDER, CONNECT … : a write to such a table may be one to another.
bool may_stand_for_others(std::string_view type, std::string_view engine) {
  if (type == "SEQUENCE" || lowered(engine) == "memory") return false;
  return !unfitness(type, engine).empty();
}

}  // namespace

std::vector<std::string_view> mysql_catalog_queries(MysqlServer server) {
  constexpr unsigned kGeneratedSince = 50706, kRevokesInPartSince = 80016;
  std::vector<std::string_view> queries(kCatalogQueries.begin(), kCatalogQueries.end());
  if (!server.is_mariadb && server.version < kGeneratedSince) {
    queries[kColumns] = kColumnsWithoutGenerated;
  }
  if (server.is_mariadb || server.version < kRevokesInPartSince) queries.resize(kGrants);
  return queries;
}
std::span<const std::string_view> mysql_session_queries() { return kSessionQueries; }

MysqlTableId MysqlCatalogData::id(std::string_view database, std::string_view table) const {
  if (!lower_case_names) return hash(database, table);
  return hash(lowered(database), lowered(table));
}

const MysqlTable* MysqlCatalogData::find(MysqlTableId id) const {
  const auto at = tables.find(id);
  return at == tables.end() ? nullptr : &at->second;
}

const MysqlTable* MysqlCatalogData::find(std::string_view database, std::string_view table) const {
  const MysqlTable* found = find(id(database, table));
  if (found == nullptr) return nullptr;
  const bool same = lower_case_names ? lowered(found->database) == lowered(database) &&
                                           lowered(found->name) == lowered(table)
                                     : found->database == database && found->name == table;
  return same ? found : nullptr;
}

std::shared_ptr<const Analysis> MysqlCatalogData::view(const MysqlTable& view) const {
  const std::lock_guard lock(views_mutex);
  const auto [at, is_new] = views.try_emplace(view.id);
  if (!is_new) return at->second;
  auto analysis = analyse_mysql(view.definition);
  if (view.definition.find('\\') != std::string::npos) {
    // How it escapes depends on a sql_mode that nobody remembers.
    MysqlLexing other;
    other.no_backslash_escapes = true;
    const auto without = analyse_mysql(view.definition, other);
    if (without->tables != analysis->tables || without->status != analysis->status) return nullptr;
  }
  at->second = std::move(analysis);
  return at->second;
}

MysqlCatalog::MysqlCatalog(std::unique_ptr<const MysqlCatalogData> data) : data_(std::move(data)) {}
MysqlCatalog::~MysqlCatalog() = default;

std::size_t MysqlCatalog::table_count() const { return data_->tables.size(); }
const std::string& MysqlCatalog::blind_spot() const { return data_->blind_spot; }
bool MysqlCatalog::calls_may_set_role() const { return data_->calls_may_set_role; }
bool MysqlCatalog::may_hide_state() const { return data_->may_hide_state; }
std::uint64_t MysqlCatalog::fingerprint() const { return data_->fingerprint; }

std::string MysqlCatalog::table_name(MysqlTableId table) const {
  const MysqlTable* found = data_->find(table);
  return found == nullptr ? std::string() : found->database + "." + found->name;
}

// --- building
// ---------------------------------------------------------------------------------------

MysqlCatalogBuilder::MysqlCatalogBuilder(bool lower_case_names)
    : data_(std::make_unique<MysqlCatalogData>()) {
  data_->lower_case_names = lower_case_names;
}
MysqlCatalogBuilder::~MysqlCatalogBuilder() = default;

core::Result<void> MysqlCatalogBuilder::add(std::size_t query, Row row) {
  constexpr std::array<std::size_t, kQueries> kWidths = {4, 3, 3, 4, 4, 5, 1, 1};
  if (query >= kQueries || row.size() != kWidths[query]) {
    return core::fail("The origin's information_schema answered in an unknown form.");
  }
  const auto text = [&](std::size_t i) { return std::string(row[i].value_or("")); };
  std::uint64_t sum = query;
  for (std::size_t i = 0; i < row.size(); ++i) sum = sum * 31 + hash(text(i), row[i] ? "" : "-");
  data_->fingerprint += sum;  // whatever their order
  MysqlCatalogData& data = *data_;
  if (query == kBlind || query == kGrants) {
    const std::string database = query == kBlind ? text(0) : revoked_database(text(0));
    if (!database.empty()) {
      data.blind_spot =
          "the triggers of " + database + " cannot be seen without the TRIGGER privilege";
    }
    return {};
  }
  if (query == kFunctions) {
    if (text(2) != "PROCEDURE") {
      const std::string name = lowered(text(1));
      data.functions.insert(lowered(text(0)) + '\0' + name);
      if (mysql_is_no_function(name)) data.odd_functions.emplace_back(lowered(text(0)), name);
    }
    data.calls_may_set_role = data.calls_may_set_role || text(3) != "0";
    return {};
  }
  MysqlTable& table = data.tables[data.id(text(0), text(1))];
  if (query == kTables) {
    table.id = data.id(text(0), text(1));
    table.database = text(0);
    table.name = text(1);
    table.is_view = text(2) == "VIEW";
    table.unfit = unfitness(text(2), text(3));
    table.stands_for_others = may_stand_for_others(text(2), text(3));
  } else if (query == kViews) {
    table.definition = text(2);
  } else if (query == kTriggers) {
    table.has_trigger = true;
    table.trigger_leaves_state = table.trigger_leaves_state || leaves_state(text(2));
  } else if (query == kForeignKeys) {
    table.cascades.push_back(data.id(text(2), text(3)));
  } else {
    const std::string type = lowered(text(3));
    if (type == "time") table.times.push_back(lowered(text(2)));
    if (type == "date" || type == "datetime" || type == "timestamp") table.has_dates = true;
    const std::string expression = text(4);
    if (expression.empty() || expression == "ROW START" || expression == "ROW END") return {};
    const auto analysis = analyse_mysql("SELECT " + expression);
    table.has_generated = true;
    table.generated_reads_dates = table.generated_reads_dates || analysis->text_may_become_time;
    if (analysis->status != CacheStatus::kMiss) {
      table.today = "the generated column " + text(2) + ": " + analysis->reason;
    }
  }
  return {};
}

std::shared_ptr<const MysqlCatalog> MysqlCatalogBuilder::build() {
  // Of a table that was made or dropped between two of the queries.
  std::erase_if(data_->tables, [](const auto& item) { return item.second.id == 0; });
  data_->may_hide_state = !data_->functions.empty() || !data_->blind_spot.empty();
  for (auto& [id, table] : data_->tables) {
    data_->may_hide_state = data_->may_hide_state || table.has_trigger;
    const bool has_dates = table.has_dates || table.generated_reads_dates;
    if (!table.today.empty() || !table.has_generated || table.times.empty() || !has_dates) continue;
    table.today = "a generated column that may turn a TIME into a date by today's date";
  }
  return std::shared_ptr<const MysqlCatalog>(new MysqlCatalog(std::move(data_)));
}

}  // namespace hyperdrive::proxy::sql
