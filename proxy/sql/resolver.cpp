#include "proxy/sql/resolver.hpp"

#include <algorithm>

namespace hyperdrive::proxy::sql {

std::string shown(const Name& name) {
  return name.schema.empty() ? name.name : name.schema + "." + name.name;
}

std::string shown(const Relation& relation) {
  return relation.schema == "public" ? relation.name : relation.schema + "." + relation.name;
}

namespace {

constexpr int kMostViews = 32;  // nesting; deeper ones are refused

std::string_view volatility_word(char volatility) {
  switch (volatility) {
    case 's':
      return "STABLE";
    case 'v':
      return "VOLATILE";
    case 'l':
      return "called IMMUTABLE, but may depend on more than its arguments";
    case 'w':
      return "called STABLE or IMMUTABLE, but may write";
    default:
      return "IMMUTABLE";
  }
}

/// Built-in functions that run a query out of their arguments, or of relations that these name.
bool runs_given_sql(std::string_view name) {
  return name.find("_to_xml") != std::string_view::npos || name == "ts_stat" ||
         name == "ts_rewrite";
}

bool takes(const Function& function, const Call& call) {
  if (call.arguments < 0) return true;
  if (function.variadic && call.arguments >= function.arguments - 1) return true;
  return call.arguments <= function.arguments &&
         call.arguments >= function.arguments - function.defaults;
}

}  // namespace

void Resolver::refuse_volatile(std::string reason) {
  if (volatile_reason_.empty()) volatile_reason_ = std::move(reason);
}

void Resolver::refuse(std::string reason) {
  if (uncacheable_reason_.empty()) uncacheable_reason_ = std::move(reason);
}

void Resolver::may_write_anything(std::string reason) {
  if (anything_reason_.empty()) anything_reason_ = std::move(reason);
}

void Resolver::read(const Analysis& analysis) {
  analysis_ = &analysis;
  named_.clear();
  forbids_timetz_ = may_hold_time_ = false;
  for (const Name& table : analysis.tables) read_relation(table);
  for (const Call& call : analysis.functions) judge_call(call);
  for (const OperatorUse& use : analysis.operators) judge_operator(use);
  for (const std::string& attribute : analysis.attributes) judge_attribute(attribute);
  if (analysis.is_skimmed) {
    if (data_.has_volatile_operator || !data_.volatile_conversion.empty() ||
        (data_.has_volatile_function && !data_.definitions.empty() && !analysis.only_values)) {
      may_write_anything("the statement is not understood, and could call a VOLATILE function");
    }
    return;
  }
  for (const Cast& cast : analysis.casts) judge_cast(cast, false);
  for (const Cast& cast : analysis.calls_as_casts) judge_cast(cast, true);
  judge_input_words(analysis);
  judge_text_search(analysis);
  judge_columns(analysis);
  judge_times();
  judge_unnamed_casts();
}

// --- relations -----------------------------------------------------------------------------------

bool Resolver::is_visible(std::string_view schema, const Name& name) const {
  if (!name.schema.empty()) return schema == name.schema;
  return std::find(path_.begin(), path_.end(), schema) != path_.end();
}

/// All that the name could mean: a schema of the path may be closed to this user, so that the first
/// is not always the one.
std::vector<const Relation*> Resolver::find_relations(const Name& name) const {
  std::vector<const Relation*> found;
  const auto named = data_.relations_by_name.find(name.name);
  if (named == data_.relations_by_name.end()) return found;
  for (const std::size_t index : named->second) {
    const Relation& relation = data_.relations[index];
    if (is_visible(relation.schema, name)) found.push_back(&relation);
  }
  return found;
}

void Resolver::read_relation(const Name& name) {
  const std::vector<const Relation*> found = find_relations(name);
  if (found.empty()) {
    refuse("relation " + shown(name) +
           " is not known: it does not exist, or was made past the proxy within the last minute");
    if (name.schema != "pg_temp") {
      may_write_anything("relation " + shown(name) + " is not known, and may be a view");
    }
  }
  for (const Relation* relation : found) {
    named_.insert(relation->oid);
    read_found(*relation);
  }
}

void Resolver::read_found(const Relation& relation) {
  if (relation.schema == "pg_catalog" || relation.schema == "information_schema") {
    return refuse(shown(relation) + " is a system catalog");
  }
  switch (relation.kind) {
    case 'S':
      return refuse(shown(relation) + " is a sequence");
    case 'v':
      return read_view(relation);
    default:
      if (relation.row_security) {
        refuse(shown(relation) + " has row-level security");
        const auto effects = data_.side_effects.find(relation.oid);
        if (effects != data_.side_effects.end()) {
          may_write_anything(effects->second + " on " + shown(relation));
        }
      }
      add_with_children(relation);
  }
}

void Resolver::add_with_children(const Relation& relation) {
  std::vector<Oid> pending{relation.oid};
  while (!pending.empty()) {
    const Oid oid = pending.back();
    pending.pop_back();
    if (!reads_.insert(oid).second) continue;
    if (const Relation* known = data_.relation(oid)) {
      if (known->kind == 'f') refuse(shown(*known) + " is a foreign table");
      if (known->persistence == 'u') reads_unlogged_ = true;
    }
    const auto children = data_.children.find(oid);
    if (children == data_.children.end()) continue;
    pending.insert(pending.end(), children->second.begin(), children->second.end());
  }
}

void Resolver::read_view(const Relation& view) {
  const std::shared_ptr<const Analysis> definition = data_.view(view.oid);
  if (!definition || depth_ >= kMostViews) {
    may_write_anything("the definition of view " + shown(view) + " is not known");
    return refuse("the definition of view " + shown(view) + " is not known");
  }
  const std::string prefix = "view " + shown(view) + ": ";
  Resolver inner(data_, {"pg_catalog"});
  inner.depth_ = depth_ + 1;
  inner.read(*definition);
  if (!inner.volatile_reason_.empty()) refuse_volatile(prefix + inner.volatile_reason_);
  if (definition->status == CacheStatus::kVolatile) refuse_volatile(prefix + definition->reason);
  if (!inner.uncacheable_reason_.empty()) refuse(prefix + inner.uncacheable_reason_);
  if (!definition->uncacheable.empty()) refuse(prefix + definition->uncacheable);
  if (definition->status != CacheStatus::kVolatile && definition->status != CacheStatus::kMiss) {
    refuse(prefix + "its definition is not understood: " + definition->reason);
  }
  if (!inner.anything_reason_.empty()) may_write_anything(prefix + inner.anything_reason_);
  reads_.insert(inner.reads_.begin(), inner.reads_.end());
  reads_unlogged_ = reads_unlogged_ || inner.reads_unlogged_;
}

// --- functions and operators ---------------------------------------------------------------------

/// A STABLE function only reads; but what it reads may be a view that does more.
bool Resolver::may_act(char volatility) const {
  return volatility >= 'v' || (data_.has_acting_view && volatility != 'i');
}

void Resolver::judge_call(const Call& call) {
  // json_populate_record() and its like make values of a type that only their argument tells.
  if (call.name.name.find("populate_record") != std::string::npos &&
      !data_.volatile_conversion.empty()) {
    refuse_volatile(shown(call.name) + "() converts values, and " + data_.volatile_conversion);
    may_write_anything(data_.volatile_conversion);
  }
  auto named = data_.functions.find(call.name.name);
  // Before Postgres 14 EXTRACT was date_part.
  if (named == data_.functions.end() && call.name.name == "extract") {
    named = data_.functions.find("date_part");
  }
  bool known = false;
  if (named != data_.functions.end()) {
    for (const Function& function : named->second) {
      if (!is_visible(function.schema, call.name) || !takes(function, call)) continue;
      known = true;
      if (function.schema == "pg_catalog") {
        judge_builtin(call, function.volatility);
        continue;
      }
      may_hold_time_ = true;
      if (function.defaults > 0 && call.arguments < function.arguments) {
        // A default is an expression that may be anything, whatever the function itself is.
        refuse_volatile(shown(call.name) + "() takes a default, which may not be IMMUTABLE");
      }
      if (function.volatility == 'i') continue;
      refuse_volatile(shown(call.name) + "() is " +
                      std::string(volatility_word(function.volatility)));
      if (may_act(function.volatility)) {
        may_write_anything("calls " + shown(call.name) + "(), which is " +
                           std::string(volatility_word(function.volatility)));
      }
    }
  }
  bool composite = false;
  if (known || call.arguments < 0) return;
  if (call.arguments == 1 && classify(call.name, composite) != TypeClass::kUnknown) return;
  refuse_volatile(
      "function " + shown(call.name) +
      "() is not known: it does not exist, or was made past the proxy within the last minute");
  may_write_anything("calls " + shown(call.name) + "(), which is not known");
}

void Resolver::judge_builtin(const Call& call, char volatility) {
  if (volatility == 'i') {
    if (call.name.name == "make_time") may_hold_time_ = true;
    return;
  }
  if (volatility == 's') {
    if (const auto allowed = cacheable_stable(call.name.name, call.arguments)) {
      if (allowed->unless_timetz) forbids_timetz_ = true;
      if (call.name.name == "time") may_hold_time_ = true;
      return;
    }
  }
  refuse_volatile(call.name.name + "() is " + std::string(volatility_word(volatility)));
  // Where the statement's own text has it, the session knows; not behind a view.
  const std::string& name = call.name.name;
  const bool changes_session = name == "set_config" || name == "setseed" ||
                               name.starts_with("pg_advisory_lock") ||
                               name.starts_with("pg_try_advisory_lock");
  if (depth_ > 0 && changes_session) may_write_anything(name + "() changes the session");
  if (runs_given_sql(name)) may_write_anything(name + "() runs the SQL that it is given");
}

void Resolver::judge_operator(const OperatorUse& use) {
  const auto named = data_.operators.find(use.name.name);
  if (named == data_.operators.end()) return;  // operators of pg_catalog are not listed
  for (const Operator& op : named->second) {
    if (op.prefix != use.prefix || !is_visible(op.schema, use.name) || op.volatility == 'i') {
      continue;
    }
    refuse_volatile("operator " + shown(use.name) + " is " +
                    std::string(volatility_word(op.volatility)));
    if (may_act(op.volatility)) {
      may_write_anything("uses operator " + shown(use.name) + ", which is " +
                         std::string(volatility_word(op.volatility)));
    }
  }
}

/// `t.f` calls f(t) if the relation has no such column.
void Resolver::judge_attribute(const std::string& name) {
  const auto named = data_.functions.find(name);
  if (named == data_.functions.end()) return;
  const Call call{{"", name}, 1, false};
  for (const Function& function : named->second) {
    if (!function.takes_row || !is_visible(function.schema, call.name)) continue;
    if (function.schema != "pg_catalog") {
      if (function.volatility == 'i') continue;
      refuse_volatile(name + " may be a call of " + name + "(), which is " +
                      std::string(volatility_word(function.volatility)));
      if (may_act(function.volatility)) may_write_anything("may call " + name + "()");
    } else if (data_.columns.find(name) == data_.columns.end()) {
      judge_builtin(call, function.volatility);
    }
  }
}

// --- writes --------------------------------------------------------------------------------------

void Resolver::write(const Name& target, Reach reach) {
  const std::vector<const Relation*> found = find_relations(target);
  if (found.empty()) may_write_anything("table " + shown(target) + " is not known");
  for (const Relation* relation : found) write(relation->oid, reach);
}

void Resolver::write(Oid target, Reach reach) {
  if (!data_.volatile_conversion.empty()) may_write_anything(data_.volatile_conversion);
  std::vector<Oid> pending{target};
  const auto add_all = [&](const std::unordered_map<Oid, std::vector<Oid>>& edges, Oid from) {
    const auto found = edges.find(from);
    if (found == edges.end()) return;
    pending.insert(pending.end(), found->second.begin(), found->second.end());
  };
  while (!pending.empty()) {
    const Oid oid = pending.back();
    pending.pop_back();
    if (!writes_.insert(oid).second) continue;
    const Relation* relation = data_.relation(oid);
    if (!relation) {
      may_write_anything("a table reached by the write is not known");
      continue;
    }
    // It may be this very database's, by way of postgres_fdw.
    if (relation->kind == 'f') may_write_anything(shown(*relation) + " is a foreign table");
    // UPDATE pg_settings calls set_config(); the others change what names mean.
    if (relation->schema == "pg_catalog") {
      may_write_anything(shown(*relation) + " is a system catalog");
    }
    const auto effects = data_.side_effects.find(oid);
    if (effects != data_.side_effects.end()) {
      may_write_anything(effects->second + " on " + shown(*relation));
    }
    if (relation->kind == 'v' || relation->kind == 'm') {
      Resolver inner(data_, {"pg_catalog"});
      inner.depth_ = depth_ + 1;
      inner.read_view(*relation);
      if (!inner.anything_reason_.empty()) may_write_anything(inner.anything_reason_);
      // A write to a view goes on to its tables; a refresh only reads them.
      if (relation->kind == 'v') {
        pending.insert(pending.end(), inner.reads_.begin(), inner.reads_.end());
      }
    }
    add_all(data_.children, oid);
    if (reach == Reach::kCascades) add_all(data_.cascades, oid);
  }
}

}  // namespace hyperdrive::proxy::sql
