#include "proxy/sql/resolver.hpp"

#include <algorithm>

namespace hyperdrive::proxy::sql {
namespace {

constexpr int kMostViews = 32;  // nesting; deeper ones are refused

std::string shown(const Name& name) {
  return name.schema.empty() ? name.name : name.schema + "." + name.name;
}

std::string shown(const Relation& relation) {
  return relation.schema == "public" ? relation.name : relation.schema + "." + relation.name;
}

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
  if (analysis.is_skimmed) {
    if (data_.has_volatile_operator || !data_.volatile_conversion.empty() ||
        (data_.has_volatile_function && !data_.definitions.empty())) {
      may_write_anything("the statement is not understood, and could call a VOLATILE function");
    }
    return;
  }
  for (const std::string& attribute : analysis.attributes) judge_attribute(attribute);
  for (const Cast& cast : analysis.casts) judge_cast(cast, false);
  for (const Cast& cast : analysis.calls_as_casts) judge_cast(cast, true);
  judge_input_words(analysis);
  judge_text_search(analysis);
  judge_columns(analysis);
  judge_times();
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
    refuse("relation " + shown(name) + " is not known to the catalogs read so far");
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
  refuse_volatile("function " + shown(call.name) + "() is not known to the catalogs read so far");
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

// --- types ---------------------------------------------------------------------------------------

TypeClass Resolver::classify(const Name& type, bool& composite) const {
  TypeClass result = TypeClass::kUnknown;
  if (type.schema.empty() || type.schema == "pg_catalog") result = builtin_type(type.name);
  const auto named = data_.types.find(type.name);
  if (named == data_.types.end()) return result;
  for (const Type& known : named->second) {
    if (!is_visible(known.schema, type)) continue;
    const TypeClass found = classify_user_type(known, composite, 0);
    // The worse of the two, should a user's type hide a built-in one.
    if (result == TypeClass::kUnknown || result == TypeClass::kInert) result = found;
  }
  return result;
}

TypeClass Resolver::classify_user_type(const Type& type, bool& composite, int depth) const {
  if (type.has_unsafe_cast) return TypeClass::kRefused;
  switch (type.kind) {
    case 'e':
      return TypeClass::kInert;
    case 'b':
      return type.input_volatility == 'i' ? TypeClass::kInert : TypeClass::kRefused;
    case 'd':
      return classify_oid(type.base, depth + 1);
    default:
      // Composites, ranges: their parts may be times.
      composite = true;
      return TypeClass::kTime;
  }
}

TypeClass Resolver::classify_oid(Oid type, int depth) const {
  // pg_type.dat: the built-in types that know the present, or the catalogs, or today's date.
  static constexpr std::array<Oid, 12> kTimes = {1082, 1083, 1114, 1184, 3908, 3910,
                                                 3912, 1115, 1182, 1183, 1185, 4534};
  static constexpr std::array<Oid, 2> kTimetz = {1266, 1270};
  static constexpr std::array<Oid, 16> kInert = {16,  17,  19,   20,   21,   23,   25,   114,
                                                 700, 701, 1042, 1043, 1186, 1700, 2950, 3802};
  const auto among = [type](const auto& oids) {
    return std::find(oids.begin(), oids.end(), type) != oids.end();
  };
  if (among(kInert)) return TypeClass::kInert;
  if (among(kTimes)) return TypeClass::kTime;
  if (among(kTimetz)) return TypeClass::kTimetz;
  const auto name = data_.type_names.find(type);
  if (name == data_.type_names.end() || depth > kMostViews) return TypeClass::kRefused;
  bool composite = false;
  for (const Type& known : data_.types.find(name->second)->second) {
    if (known.oid == type) return classify_user_type(known, composite, depth);
  }
  return TypeClass::kRefused;
}

char Resolver::column_class(const Analysis& analysis, const std::string& column) const {
  for (const std::string& alias : analysis.aliases) {
    if (alias == "*" || alias == column) return '?';
  }
  const auto named = data_.columns.find(column);
  if (named == data_.columns.end()) return '?';
  char result = '?';
  for (const ColumnGroup& group : named->second) {
    const bool meant = group.everywhere || std::any_of(named_.begin(), named_.end(), [&](Oid oid) {
                         return group.relations.contains(oid);
                       });
    if (!meant) continue;
    if (result != '?' && result != group.type_class) return '?';
    result = group.type_class;
  }
  return result;
}

/// The text does not name the functions that casts and domains run.
void Resolver::judge_conversion(const Cast& cast, bool is_call) {
  if (data_.volatile_conversion.empty()) return;
  const bool from_expression = cast.source == Cast::Source::kOther && !is_call;
  if (!from_expression && !data_.types.contains(cast.type.name)) return;
  refuse_volatile("a conversion to " + shown(cast.type) +
                  " may be VOLATILE: " + data_.volatile_conversion);
  may_write_anything("converts values, and " + data_.volatile_conversion);
}

void Resolver::judge_cast(const Cast& cast, bool is_call) {
  judge_conversion(cast, is_call);
  bool composite = false;
  const std::string type = shown(cast.type);
  switch (classify(cast.type, composite)) {
    case TypeClass::kInert:
      return;
    case TypeClass::kTimetz:
      may_hold_time_ = true;
      return refuse_volatile("time with time zone depends on today's date");
    case TypeClass::kCatalog:
      // A configuration named in the text, as in to_tsvector('english'::regconfig, x).
      if (type.ends_with("regconfig") && cast.source == Cast::Source::kLiteral) return;
      return refuse_volatile("input of type " + type + " is STABLE: it reads the catalogs");
    case TypeClass::kRefused:
      return refuse_volatile("input or a cast of type " + type + " is not IMMUTABLE");
    case TypeClass::kUnknown:
      if (!is_call) refuse_volatile("type " + type + " is not known to the catalogs read so far");
      return;
    case TypeClass::kTime:
      break;
  }
  if (cast.type.name == "time") may_hold_time_ = true;
  if (cast.source == Cast::Source::kLiteral || cast.source == Cast::Source::kParameter) return;
  bool safe = cast.source == Cast::Source::kNoText && !composite;
  for (const std::string& column : cast.columns) {
    const char column_type = column_class(*analysis_, column);
    safe = safe && (column_type == 'd' || column_type == 'h' || column_type == 'n');
  }
  if (!safe) {
    refuse_volatile("the cast to " + type +
                    " may read a text such as 'today', which depends on the moment");
  }
}

void Resolver::judge_input_words(const Analysis& analysis) {
  for (const InputWord& word : analysis.input_words) {
    if (word.column.empty()) continue;  // judged by the text alone
    const char type = column_class(analysis, word.column);
    if (type == 't' || type == 'n' || type == 'v' || type == 'j') continue;
    refuse_volatile("'" + word.literal.substr(0, 40) +
                    "' may be read as a date or time that depends on the moment it is asked");
  }
}

void Resolver::judge_text_search(const Analysis& analysis) {
  for (const std::vector<std::string>& columns : analysis.text_matches) {
    const bool safe = std::any_of(columns.begin(), columns.end(), [&](const std::string& column) {
      const char type = column_class(analysis, column);
      return type == 'v' || type == 'j';
    });
    if (!safe) refuse_volatile("@@ may read a text by default_text_search_config");
  }
}

void Resolver::judge_columns(const Analysis& analysis) {
  for (const Oid oid : named_) {
    if (!data_.with_unsafe.contains(oid)) continue;
    refuse_volatile("a column of " + shown(*data_.relation(oid)) +
                    " has a type whose output or casts are not IMMUTABLE");
    if (!data_.volatile_conversion.empty()) may_write_anything(data_.volatile_conversion);
  }
  if (data_.with_time.empty()) return;
  const bool names_one = std::any_of(named_.begin(), named_.end(),
                                     [&](Oid oid) { return data_.with_time.contains(oid); });
  for (const std::string& column : analysis.operands) {
    if (column == "*" && names_one) refuse_volatile("UNION may read a text as a time of today");
    if (column_class(analysis, column) == 'z') {
      refuse_volatile(column + " is a time with time zone, which is compared by today's date");
    }
  }
}

void Resolver::judge_times() {
  if (!forbids_timetz_) return;
  const bool holds = may_hold_time_ || std::any_of(named_.begin(), named_.end(), [&](Oid oid) {
                       return data_.with_time.contains(oid);
                     });
  if (holds) refuse_volatile("timezone() of a time depends on today's date");
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
