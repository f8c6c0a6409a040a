// Resolves the names of one Analysis against a MysqlCatalog, following views to their base tables.
#include <algorithm>
#include <array>
#include <utility>

#include "proxy/sql/catalog_data.hpp"
#include "proxy/sql/mysql_builtins.hpp"
#include "proxy/sql/mysql_catalog_data.hpp"

namespace hyperdrive::proxy::sql {
namespace {

constexpr int kMaxDepth = 32;

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return out;
}

bool contains(const std::vector<std::string>& values, const std::string& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool is_system(std::string_view database) {
  constexpr std::array<std::string_view, 4> kSystem = {"mysql", "information_schema",
                                                       "performance_schema", "sys"};
  return std::find(kSystem.begin(), kSystem.end(), lowered(database)) != kSystem.end();
}

/// Behind a USE the same names mean other tables, views and functions.
bool names_change_midway(const Analysis& analysis) {
  const auto& statements = analysis.statements;
  return std::any_of(statements.begin(), statements.end(), [&](const Statement& one) {
    return one.command == "USE" && &one != &statements.back();
  });
}

bool is_cte(const Name& name, const Analysis& analysis) {
  return name.schema.empty() && contains(analysis.mysql.ctes, lowered(name.name));
}

}  // namespace

bool changes_mysql_catalog(const Analysis& analysis) {
  const auto& statements = analysis.statements;
  for (const Statement& statement : statements) {
    if (statement.effect != Effect::kUnknownWrite && statement.effect != Effect::kExecute) continue;
    constexpr std::array<std::string_view, 6> kNever = {"DO",  "OPTIMIZE", "REPAIR",
                                                        "SET", "XA",       "HANDLER"};
    // SET GLOBAL: what sessions begin with is a part of it.
    const bool for_all = statement.command == "SET" && (statement.state & state::kUnknown) == 0;
    if (for_all) return true;
    if (std::find(kNever.begin(), kNever.end(), statement.command) == kNever.end()) return true;
  }
  const bool sets = statements.size() == 1 && statements.front().effect == Effect::kSet;
  return analysis.mysql.has_executable_comment && !sets;
}

void MysqlResolver::refuse(std::string reason) {
  if (uncacheable_reason_.empty()) uncacheable_reason_ = std::move(reason);
}

void MysqlResolver::refuse_volatile(std::string reason) {
  if (volatile_reason_.empty()) volatile_reason_ = std::move(reason);
}

void MysqlResolver::may_reach_anything(std::string reason) {
  may_write_anything(std::move(reason));
  leaves_state_ = true;
}

void MysqlResolver::may_write_anything(std::string reason) {
  if (anything_reason_.empty()) anything_reason_ = std::move(reason);
}

// --- reading
// ----------------------------------------------------------------------------------------

void MysqlResolver::read(const Analysis& analysis) {
  for (const Name& name : analysis.tables) read_table(name, analysis);
  judge_calls(analysis);
  reads_dates_ = reads_dates_ || analysis.text_may_become_time;
  makes_times_ = makes_times_ || analysis.mysql.makes_times;
  if (depth_ == 0) judge_times(analysis);
}

void MysqlResolver::read_table(const Name& name, const Analysis& analysis) {
  const std::string_view database = database_of(name);
  const MysqlTable* table = database.empty() ? nullptr : data_.find(database, name.name);
  if (table == nullptr) {
    if (is_cte(name, analysis)) return;
    // It may be a view that was made meanwhile, and call what it likes.
    leaves_state_ = leaves_state_ || !is_system(database);
    return refuse(
        (name.schema.empty() ? name.name : name.schema + "." + name.name) +
        " is not a table that the origin's information_schema names; one made past the proxy is "
        "known within a minute");
  }
  const std::string full = table->database + "." + table->name;
  if (!table->unfit.empty()) return refuse(full + " " + table->unfit);
  if (!table->today.empty()) refuse_volatile(full + " has " + table->today);
  if (table->is_view) return read_view(*table);
  reads_.insert(table->id);
}

void MysqlResolver::read_view(const MysqlTable& view) {
  const std::string full = view.database + "." + view.name;
  if (view.definition.empty()) {
    may_write_anything("the definition of view " + full + " cannot be seen");
    return refuse("the definition of view " + full + " cannot be seen");
  }
  const auto analysis = depth_ < kMaxDepth ? data_.view(view) : nullptr;
  if (!analysis) {
    may_write_anything("view " + full + " is not understood");
    return refuse("view " + full + " is not understood");
  }
  reads_view_ = true;
  if (analysis->status == CacheStatus::kVolatile) {
    refuse_volatile("in view " + full + ": " + analysis->reason);
  } else if (analysis->status != CacheStatus::kMiss) {
    refuse("in view " + full + ": " + analysis->reason);
  }
  // Names in a definition are qualified; what is not is the view's own database.
  const std::string outer = std::exchange(database_, view.database);
  ++depth_;
  read(*analysis);
  --depth_;
  database_ = outer;
}

/// A stored function may write whatever it likes.
void MysqlResolver::judge_calls(const Analysis& analysis) {
  const std::string database = lowered(database_);
  for (const auto& [home, name] : data_.odd_functions) {
    if (home != database ||
        !std::binary_search(analysis.mysql.words.begin(), analysis.mysql.words.end(), name)) {
      continue;
    }
    may_write_anything("function " + name + "() may write anything");
    leaves_state_ = true;
    refuse_volatile(name + "() is not known to be deterministic");
  }
  const std::string own = database + '\0';
  for (const Call& call : analysis.functions) {
    const std::string name = lowered(call.name.name);
    // Which names are the server's own depends on its version: rank() is since MySQL 8.
    const bool may_be_own = call.variadic || !mysql_function_is_everywhere(name);
    const bool stored =
        !call.name.schema.empty() || (may_be_own && data_.functions.contains(own + name));
    if (!stored && mysql_function_writes_nothing(name)) continue;
    may_write_anything("function " + call.name.name + "() may write anything");
    leaves_state_ = true;
    refuse_volatile(call.name.name + "() is not known to be deterministic");
  }
}

/// MySQL makes a DATETIME of a TIME by adding today's date where it compares or combines the two.
void MysqlResolver::judge_times(const Analysis& analysis) {
  bool has_dates = reads_dates_;
  bool names_time = makes_times_;
  bool has_times = makes_times_;
  for (const MysqlTableId id : reads_) {
    const MysqlTable& table = *data_.find(id);
    has_dates = has_dates || table.has_dates;
    has_times = has_times || !table.times.empty();
    for (const std::string& column : table.times) {
      names_time = names_time || std::binary_search(analysis.mysql.words.begin(),
                                                    analysis.mysql.words.end(), column);
    }
  }
  dates_meet_parameters_ = has_dates;
  if (!has_times) return;
  const bool may_meet = names_time || reads_view_ || analysis.mysql.combines;
  times_meet_parameters_ = may_meet;
  if (has_dates && may_meet) {
    refuse_volatile("a TIME may be compared with a date, which takes today's date");
  }
}

// --- writing
// ----------------------------------------------------------------------------------------

/// A WITH query of the same name may stand anywhere in the text: what is written is the table.
void MysqlResolver::write(const Name& target, Reach reach) {
  const std::string_view database = database_of(target);
  const MysqlTable* table = database.empty() ? nullptr : data_.find(database, target.name);
  if (table == nullptr) {
    return may_write_anything("table " + target.name + " is not known");
  }
  write_table(*table, reach);
}

void MysqlResolver::write_table(const MysqlTable& table, Reach reach) {
  const std::string full = table.database + "." + table.name;
  if (!data_.blind_spot.empty()) return may_write_anything(data_.blind_spot);
  if (table.is_view) {
    const auto analysis =
        depth_ < kMaxDepth && !table.definition.empty() ? data_.view(table) : nullptr;
    if (!analysis) return may_write_anything("view " + full + " is not understood");
    // Its conditions are computed for each row that is written.
    const std::string outer = std::exchange(database_, table.database);
    judge_calls(*analysis);
    database_ = outer;
    ++depth_;
    for (const Name& name : analysis->tables) {
      const MysqlTable* base =
          data_.find(name.schema.empty() ? table.database : name.schema, name.name);
      if (base == nullptr) {
        may_write_anything("a table of view " + full + " is not known");
      } else {
        write_table(*base, reach);
      }
    }
    --depth_;
    return;
  }
  if (!table.unfit.empty()) return may_write_anything(full + " " + table.unfit);
  leaves_state_ = leaves_state_ || table.trigger_leaves_state;
  if (table.has_trigger) return may_write_anything("trigger on " + full);
  writes_.insert(table.id);
  if (reach == Reach::kAddsOnly || !cascaded_.insert(table.id).second) return;
  for (const MysqlTableId id : table.cascades) {
    const MysqlTable* child = data_.find(id);
    if (child == nullptr) {
      may_write_anything("a foreign key to " + full + " leads to a table that is not known");
    } else {
      write_table(*child, Reach::kCascades);
    }
  }
}

// --- the verdict
// ------------------------------------------------------------------------------------

MysqlResolution MysqlResolver::take(const Analysis& analysis) {
  MysqlResolution resolution;
  resolution.writes_everything = !anything_reason_.empty();
  resolution.writes_reason = std::move(anything_reason_);
  resolution.leaves_state = leaves_state_;
  resolution.changes_catalog = changes_mysql_catalog(analysis);
  resolution.writes.assign(writes_.begin(), writes_.end());
  resolution.tables.assign(reads_.begin(), reads_.end());
  resolution.times_meet_parameters = times_meet_parameters_;
  resolution.dates_meet_parameters = dates_meet_parameters_;
  resolution.status = analysis.status;
  resolution.reason = analysis.reason;
  // A text is told to be uncacheable only if it is not volatile.
  const bool open =
      analysis.status == CacheStatus::kMiss || analysis.status == CacheStatus::kUncacheable;
  if (open && !volatile_reason_.empty()) {
    resolution.status = CacheStatus::kVolatile;
    resolution.reason = std::move(volatile_reason_);
  } else if (analysis.status == CacheStatus::kMiss && !uncacheable_reason_.empty()) {
    resolution.status = CacheStatus::kUncacheable;
    resolution.reason = std::move(uncacheable_reason_);
  }
  return resolution;
}

MysqlResolution MysqlCatalog::resolve(const Analysis& analysis, std::string_view database) const {
  MysqlResolver resolver(*data_, database);
  resolver.read(analysis);
  if (names_change_midway(analysis)) resolver.may_reach_anything("a text that says USE midway");
  for (const Statement& statement : analysis.statements) {
    if (statement.unknown_targets) {
      resolver.may_write_anything(statement.command + " may write anything");
    }
    const auto reach =
        statement.only_adds ? MysqlResolver::Reach::kAddsOnly : MysqlResolver::Reach::kCascades;
    for (const Name& target : statement.writes) resolver.write(target, reach);
  }
  return resolver.take(analysis);
}

std::vector<MysqlTableId> MysqlCatalog::tables_matching(std::string_view glob,
                                                        std::string_view database) const {
  std::vector<MysqlTableId> tables;
  for (const auto& [id, table] : data_->tables) {
    if (glob_matches(glob, table.database + "." + table.name) ||
        (table.database == database && glob_matches(glob, table.name))) {
      tables.push_back(id);
    }
  }
  std::sort(tables.begin(), tables.end());
  return tables;
}

std::vector<MysqlTableId> MysqlCatalog::reach(std::string_view database,
                                              std::string_view table) const {
  MysqlResolver resolver(*data_, database);
  const Analysis none;
  resolver.write({std::string(database), std::string(table)}, MysqlResolver::Reach::kCascades);
  MysqlResolution resolution = resolver.take(none);
  if (resolution.writes_everything) return {};
  return std::move(resolution.writes);
}

std::vector<MysqlTableId> MysqlCatalog::reach_of_logged(std::string_view database,
                                                        std::string_view table) const {
  const MysqlTable* first = data_->find(database, table);
  if (first == nullptr) return {};
  std::vector<MysqlTableId> reached = {first->id};
  for (std::size_t i = 0; i < reached.size(); ++i) {
    const MysqlTable* one = data_->find(reached[i]);
    // Rows of a MERGE table are those of others.
    if (one == nullptr || one->is_view || one->stands_for_others) return {};
    for (const MysqlTableId child : one->cascades) {
      if (std::find(reached.begin(), reached.end(), child) == reached.end()) {
        reached.push_back(child);
      }
    }
  }
  return reached;
}

Explanation explain_mysql(const Analysis& analysis, const MysqlCatalog& catalog,
                          std::string_view database) {
  const MysqlResolution resolution = catalog.resolve(analysis, database);
  Explanation explanation;
  explanation.status = resolution.status;
  explanation.reason = resolution.reason;
  for (const MysqlTableId table : resolution.tables) {
    explanation.tables.push_back(catalog.table_name(table));
  }
  for (const Call& call : analysis.functions) explanation.functions.push_back(call.name.name);
  explanation.hints = analysis.hints;
  return explanation;
}

}  // namespace hyperdrive::proxy::sql
