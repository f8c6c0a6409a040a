#include "proxy/sql/builtins.hpp"

#include <algorithm>
#include <array>

namespace hyperdrive::proxy::sql {
namespace {

constexpr int kAny = -1;

struct Entry {
  std::string_view function;
  int arguments;  ///< kAny: whatever their number
  std::string_view reason;
  bool unless_timetz = false;
};

// Everything here depends on its arguments and on settings that are in the key: TimeZone,
// DateStyle, IntervalStyle, extra_float_digits, bytea_output, client_encoding, search_path.
// Settings that are not tracked (lc_*, xmloption …) are the same for all sessions of a user and a
// database: whoever sets one is pinned and not cached.
constexpr std::string_view kOutput = "prints values by settings that are in the key";
constexpr std::string_view kZone = "depends on TimeZone, which is in the key";
constexpr std::string_view kStyle = "reads text by DateStyle and TimeZone, which are in the key";
constexpr std::string_view kEncoding = "depends on the encodings, fixed or in the key";

constexpr Entry kEntries[] = {
    {"array_to_json", kAny, kOutput},
    {"array_to_string", kAny, kOutput},
    {"concat", kAny, kOutput},
    {"concat_ws", kAny, kOutput},
    {"convert", 3, kEncoding},
    {"convert_from", 2, kEncoding},
    {"convert_to", 2, kEncoding},
    {"length", 2, kEncoding},
    {"date", 1, kZone},
    {"date_part", 2, kZone},
    {"date_trunc", kAny, kZone},
    {"date_add", kAny, kZone},
    {"date_subtract", kAny, kZone},
    {"extract", 2, kZone},
    {"format", kAny, kOutput},
    {"generate_series", kAny, kZone},
    {"in_range", 5, kZone},
    {"json_agg", kAny, kOutput},
    {"json_agg_strict", kAny, kOutput},
    {"json_build_array", kAny, kOutput},
    {"json_build_object", kAny, kOutput},
    {"json_object_agg", kAny, kOutput},
    {"json_object_agg_strict", kAny, kOutput},
    {"json_object_agg_unique", kAny, kOutput},
    {"json_object_agg_unique_strict", kAny, kOutput},
    // The types of their columns are judged as casts.
    {"json_to_record", 1, kOutput},
    {"json_to_recordset", 1, kOutput},
    {"jsonb_agg", kAny, kOutput},
    {"jsonb_agg_strict", kAny, kOutput},
    {"jsonb_build_array", kAny, kOutput},
    {"jsonb_build_object", kAny, kOutput},
    {"jsonb_object_agg", kAny, kOutput},
    {"jsonb_object_agg_strict", kAny, kOutput},
    {"jsonb_object_agg_unique", kAny, kOutput},
    {"jsonb_object_agg_unique_strict", kAny, kOutput},
    {"jsonb_to_record", 1, kOutput},
    {"jsonb_to_recordset", 1, kOutput},
    {"make_timestamptz", kAny, kZone},
    {"overlaps", 4, kZone},
    {"quote_literal", 1, kOutput},
    {"quote_nullable", 1, kOutput},
    {"row_to_json", kAny, kOutput},
    {"string_agg", kAny, kOutput},
    {"time", 1, kZone},
    {"timestamp", 1, kZone},
    {"timestamptz", kAny, kZone},
    {"timezone", 2, kZone, true},
    {"to_char", 2, kOutput},
    {"to_date", 2, kStyle},
    {"to_json", 1, kOutput},
    {"to_jsonb", 1, kOutput},
    {"to_number", 2, "reads by lc_numeric, the same for all sessions that are cached"},
    {"to_timestamp", 2, kStyle},
};

constexpr std::string_view kInertTypes[] = {"bit",
                                            "bool",
                                            "box",
                                            "bpchar",
                                            "bytea",
                                            "char",
                                            "cid",
                                            "cidr",
                                            "circle",
                                            "float4",
                                            "float8",
                                            "inet",
                                            "int2",
                                            "int2vector",
                                            "int4",
                                            "int4multirange",
                                            "int4range",
                                            "int8",
                                            "int8multirange",
                                            "int8range",
                                            "interval",
                                            "json",
                                            "jsonb",
                                            "jsonpath",
                                            "line",
                                            "lseg",
                                            "macaddr",
                                            "macaddr8",
                                            "name",
                                            "nummultirange",
                                            "numrange",
                                            "numeric",
                                            "oid",
                                            "oidvector",
                                            "path",
                                            "pg_lsn",
                                            "point",
                                            "polygon",
                                            "text",
                                            "tid",
                                            "tsquery",
                                            "tsvector",
                                            "uuid",
                                            "varbit",
                                            "varchar",
                                            "xid",
                                            "xid8"};

constexpr std::string_view kTimeTypes[] = {
    "date",    "time",      "timestamp",      "timestamptz",  "daterange",
    "tsrange", "tstzrange", "datemultirange", "tsmultirange", "tstzmultirange"};

constexpr std::string_view kCatalogTypes[] = {
    "regclass",    "regcollation", "regconfig",    "regdictionary", "regnamespace", "regoper",
    "regoperator", "regproc",      "regprocedure", "regrole",       "regtype",      "aclitem"};

template <std::size_t N>
bool one_of(std::string_view word, const std::string_view (&words)[N]) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

}  // namespace

std::optional<StableBuiltin> cacheable_stable(std::string_view function, int arguments) {
  for (const Entry& entry : kEntries) {
    if (entry.function == function && (entry.arguments == kAny || entry.arguments == arguments)) {
      return StableBuiltin{entry.reason, entry.unless_timetz};
    }
  }
  return std::nullopt;
}

std::string cacheable_stable_names() {
  std::string names;
  for (const Entry& entry : kEntries) {
    if (entry.unless_timetz) continue;
    names.append(names.empty() ? "'" : ",'").append(entry.function).append("'");
  }
  return names;
}

TypeClass builtin_type(std::string_view name) {
  if (one_of(name, kInertTypes)) return TypeClass::kInert;
  if (one_of(name, kTimeTypes)) return TypeClass::kTime;
  if (name == "timetz") return TypeClass::kTimetz;
  if (one_of(name, kCatalogTypes)) return TypeClass::kCatalog;
  if (name == "money" || name == "xml") return TypeClass::kRefused;
  return TypeClass::kUnknown;
}

bool outlives_cleaning(std::string_view function) {
  return function == "pg_replication_origin_session_setup" || function == "pg_backup_start" ||
         function == "pg_start_backup" || function.starts_with("dblink_connect") ||
         // A temporary one belongs to its session.
         function.ends_with("_replication_slot");
}

}  // namespace hyperdrive::proxy::sql
