// Resolver: what the types of a statement's columns, casts and literals make of it.
#include <algorithm>

#include "proxy/sql/resolver.hpp"

namespace hyperdrive::proxy::sql {
namespace {

constexpr int kMostTypes = 32;  // nesting; deeper ones are refused

}  // namespace

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
      for (const Oid part : type.parts) {
        const TypeClass found = classify_oid(part, depth + 1);
        if (found != TypeClass::kInert && found != TypeClass::kTime) return TypeClass::kRefused;
      }
      return TypeClass::kTime;
  }
}

TypeClass Resolver::classify_oid(Oid type, int depth) const {
  // pg_type.dat: the built-in types that know the present, or the catalogs, or today's date.
  static constexpr std::array<Oid, 12> kTimes = {1082, 1083, 1114, 1184, 3908, 3910,
                                                 3912, 1115, 1182, 1183, 1185, 4534};
  static constexpr std::array<Oid, 2> kTimetz = {1266, 1270};
  static constexpr std::array<Oid, 37> kInert = {
      16,   17,   18,   19,   20,   21,   23,   25,   26,   114,  600,  601,  602,
      603,  604,  628,  650,  700,  701,  718,  774,  829,  869,  1042, 1043, 1186,
      1560, 1562, 1700, 2950, 3614, 3615, 3802, 3904, 3906, 3926, 4072};
  const auto among = [type](const auto& oids) {
    return std::find(oids.begin(), oids.end(), type) != oids.end();
  };
  if (among(kInert)) return TypeClass::kInert;
  if (among(kTimes)) return TypeClass::kTime;
  if (among(kTimetz)) return TypeClass::kTimetz;
  const auto name = data_.type_names.find(type);
  if (name == data_.type_names.end() || depth > kMostTypes) return TypeClass::kRefused;
  bool composite = false;
  for (const Type& known : data_.types.find(name->second)->second) {
    if (known.oid == type) return classify_user_type(known, composite, depth);
  }
  return TypeClass::kRefused;
}

bool Resolver::is_hazardous(Oid type) const {
  constexpr Oid kTimetz = 1266;
  if (type == kTimetz) return true;
  if (!data_.type_names.contains(type)) return false;
  const TypeClass found = classify_oid(type, 0);
  return found != TypeClass::kInert && found != TypeClass::kTime;
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
      if (!is_call)
        refuse_volatile(
            "type " + type +
            " is not known: it does not exist, or was made past the proxy within the last minute");
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

/// What a literal beside an operator is read as is not sure if the operator is a user's, too.
bool Resolver::uses_own_operators(const Analysis& analysis) const {
  return std::any_of(
      analysis.operators.begin(), analysis.operators.end(), [&](const OperatorUse& use) {
        const auto named = data_.operators.find(use.name.name);
        return named != data_.operators.end() &&
               std::any_of(named->second.begin(), named->second.end(),
                           [&](const Operator& op) { return is_visible(op.schema, use.name); });
      });
}

void Resolver::judge_input_words(const Analysis& analysis) {
  const bool unsure = !analysis.input_words.empty() && uses_own_operators(analysis);
  for (const InputWord& word : analysis.input_words) {
    if (!unsure) {
      if (word.column.empty()) continue;  // judged by the text alone
      const char type = column_class(analysis, word.column);
      if (type == 't' || type == 'n' || type == 'v' || type == 'j') continue;
    }
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
  const auto names_one_of = [&](const std::unordered_set<Oid>& relations) {
    return std::any_of(named_.begin(), named_.end(),
                       [&](Oid oid) { return relations.contains(oid); });
  };
  const bool has_time = names_one_of(data_.with_time);
  const bool has_timetz = names_one_of(data_.with_timetz);
  for (const std::string& column : analysis.operands) {
    if (column == "*" && has_time) refuse_volatile("UNION may read a text as a time of today");
    const char type = column_class(analysis, column);
    // Under another name it is not known again.
    if (type == 'z' || (type == '?' && has_timetz)) {
      refuse_volatile(column + (type == 'z' ? " is" : " may be") +
                      " a time with time zone, which is compared by today's date");
    }
  }
  // NATURAL does not say what it compares.
  if (analysis.joins_naturally && has_timetz) {
    refuse_volatile("NATURAL JOIN may compare a time with time zone, by today's date");
  }
}

/// Casts that the user declared implicit run wherever types meet.
void Resolver::judge_unnamed_casts() {
  if (data_.unnamed_cast.empty()) return;
  refuse_volatile(data_.unnamed_cast);
  if (!data_.volatile_conversion.empty()) may_write_anything(data_.volatile_conversion);
}

void Resolver::judge_times() {
  if (!forbids_timetz_) return;
  const bool holds = may_hold_time_ || std::any_of(named_.begin(), named_.end(), [&](Oid oid) {
                       return data_.with_time.contains(oid);
                     });
  if (holds) refuse_volatile("timezone() of a time depends on today's date");
}

}  // namespace hyperdrive::proxy::sql
