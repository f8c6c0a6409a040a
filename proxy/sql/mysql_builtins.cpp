#include "proxy/sql/mysql_builtins.hpp"

#include <algorithm>
#include <array>

#include "proxy/sql/word_set.hpp"

namespace hyperdrive::proxy::sql {
namespace {

// Left out on purpose: RAND, UUID, NOW and its like, SLEEP, BENCHMARK, LOAD_FILE, PASSWORD,
// ENCRYPT, DATABASE, USER, VERSION, CONNECTION_ID, LAST_INSERT_ID, FOUND_ROWS, ROW_COUNT, GET_LOCK,
// NEXTVAL, DEFAULT, VALUES, NAME_CONST, and whatever is not known.
// clang-format off
constexpr std::array<std::string_view, 337> kCacheable = {
    "abs", "acos", "adddate", "addtime", "aes_decrypt", "aes_encrypt", "any_value", "ascii",
    "asin", "atan", "atan2", "avg", "bin", "bin_to_uuid", "bit_and", "bit_count", "bit_length",
    "bit_or", "bit_xor", "cast", "ceil", "ceiling", "char", "char_length", "character_length",
    "charset", "chr", "coalesce", "coercibility", "collation", "compress", "concat", "concat_ws",
    "conv", "convert", "convert_tz", "cos", "cot", "count", "crc32", "crc32c", "cume_dist",
    "date", "date_add", "date_format", "date_sub", "datediff", "day", "dayname", "dayofmonth",
    "dayofweek", "dayofyear", "degrees", "dense_rank", "distance", "elt", "exp", "export_set",
    "extract", "extractvalue", "field", "find_in_set", "first_value", "floor", "format",
    "format_bytes", "format_pico_time", "from_base64", "from_days", "from_unixtime",
    "geometrycollection", "get_format", "greatest", "group_concat", "grouping", "hex", "hour",
    "if", "ifnull", "inet6_aton", "inet6_ntoa", "inet_aton", "inet_ntoa", "insert", "instr",
    "interval", "is_ipv4", "is_ipv4_compat", "is_ipv4_mapped", "is_ipv6", "is_uuid", "isnull",
    "json_array", "json_array_append", "json_array_insert", "json_array_intersect",
    "json_arrayagg", "json_compact", "json_contains", "json_contains_path", "json_depth",
    "json_detailed", "json_equals", "json_exists", "json_extract", "json_insert",
    "json_key_value", "json_keys", "json_length", "json_loose", "json_merge", "json_merge_patch",
    "json_merge_preserve", "json_normalize", "json_object", "json_object_filter_keys",
    "json_object_to_array", "json_objectagg", "json_overlaps", "json_pretty", "json_query",
    "json_quote", "json_remove", "json_replace", "json_schema_valid", "json_search", "json_set",
    "json_table", "json_type", "json_unquote", "json_valid", "json_value", "lag", "last_day",
    "last_value", "lcase", "lead", "least", "left", "length", "lengthb", "linestring", "ln",
    "locate", "log", "log10", "log2", "lower", "lpad", "ltrim", "make_set", "makedate",
    "maketime", "match", "max", "mbrcontains", "mbrcoveredby", "mbrcovers", "mbrdisjoint",
    "mbrequal", "mbrequals", "mbrintersects", "mbroverlaps", "mbrtouches", "mbrwithin", "md5",
    "median", "microsecond", "mid", "min", "minute", "mod", "month", "monthname",
    "multilinestring", "multipoint", "multipolygon", "natural_sort_key", "nth_value", "ntile",
    "nullif", "nvl", "nvl2", "oct", "octet_length", "ord", "percent_rank", "percentile_cont",
    "percentile_disc", "period_add", "period_diff", "pi", "point", "polygon", "position", "pow",
    "power", "quarter", "quote", "radians", "rank", "regexp_instr", "regexp_like",
    "regexp_replace", "regexp_substr", "repeat", "replace", "reverse", "right", "round",
    "row_number", "rpad", "rtrim", "sec_to_time", "second", "sformat", "sha", "sha1", "sha2",
    "sha224", "sign", "sin", "soundex", "space", "sqrt", "st_area", "st_asbinary", "st_asgeojson",
    "st_astext", "st_aswkb", "st_aswkt", "st_boundary", "st_buffer", "st_centroid", "st_contains",
    "st_convexhull", "st_crosses", "st_difference", "st_dimension", "st_disjoint", "st_distance",
    "st_distance_sphere", "st_endpoint", "st_envelope", "st_equals", "st_exteriorring",
    "st_geohash", "st_geometryn", "st_geometrytype", "st_geomfromgeojson", "st_geomfromtext",
    "st_geomfromwkb", "st_interiorringn", "st_intersection", "st_intersects", "st_isclosed",
    "st_isempty", "st_isring", "st_issimple", "st_isvalid", "st_latfromgeohash", "st_latitude",
    "st_length", "st_linefromtext", "st_linestringfromtext", "st_longfromgeohash", "st_longitude",
    "st_makeenvelope", "st_numgeometries", "st_numinteriorrings", "st_numpoints", "st_overlaps",
    "st_pointfromgeohash", "st_pointfromtext", "st_pointn", "st_polyfromtext",
    "st_polygonfromtext", "st_relate", "st_simplify", "st_srid", "st_startpoint",
    "st_symdifference", "st_touches", "st_transform", "st_union", "st_within", "st_x", "st_y",
    "std", "stddev", "stddev_pop", "stddev_samp", "str_to_date", "strcmp", "string_to_vector",
    "subdate", "substr", "substring", "substring_index", "subtime", "sum", "tan", "time",
    "time_format", "time_to_sec", "timediff", "timestamp", "timestampadd", "timestampdiff",
    "to_base64", "to_days", "to_seconds", "trim", "truncate", "ucase", "uncompress",
    "uncompressed_length", "unhex", "unix_timestamp", "updatexml", "upper", "uuid_to_bin",
    "var_pop", "var_samp", "variance", "vec_distance", "vec_distance_cosine",
    "vec_distance_euclidean", "vec_fromtext", "vec_totext", "vector_dim", "vector_to_string",
    "week", "weekday", "weekofyear", "year", "yearweek"};
// Every server that there is has these.
constexpr std::array<std::string_view, 123> kEverywhere = {
    "abs", "adddate", "ascii", "atan", "avg", "bin", "bit_and", "bit_or", "bit_xor", "cast", "ceil",
    "ceiling", "char", "char_length", "character_length", "coalesce", "concat", "concat_ws", "conv",
    "convert", "cos", "count", "crc32", "date", "date_add", "date_format", "date_sub", "datediff",
    "day", "dayname", "dayofmonth", "dayofweek", "dayofyear", "elt", "exp", "extract", "field",
    "find_in_set", "floor", "format", "from_days", "from_unixtime", "greatest", "group_concat",
    "hex", "hour", "if", "ifnull", "inet_aton", "inet_ntoa", "insert", "instr", "interval",
    "isnull", "lcase", "least", "left", "length", "ln", "locate", "log", "log10", "log2", "lower",
    "lpad", "ltrim", "max", "md5", "mid", "min", "minute", "mod", "month", "monthname", "nullif",
    "oct", "octet_length", "ord", "position", "pow", "power", "quarter", "quote", "radians",
    "repeat", "replace", "reverse", "right", "round", "rpad", "rtrim", "second", "sha1", "sign",
    "sin", "soundex", "space", "sqrt", "std", "stddev", "str_to_date", "strcmp", "subdate",
    "substr", "substring", "substring_index", "sum", "tan", "time", "time_to_sec", "timestampdiff",
    "to_days", "trim", "truncate", "ucase", "unhex", "unix_timestamp", "upper", "var_pop",
    "variance", "week", "weekday", "year"};
// clang-format on

constexpr std::array<std::string_view, 75> kNoFunction = {
    "all",       "and",         "any",     "as",       "between", "binary",
    "by",        "bit",         "case",    "datetime", "dec",     "decimal",
    "distinct",  "distinctrow", "div",     "double",   "else",    "except",
    "exists",    "float",       "from",    "group",    "having",  "in",
    "index",     "intersect",   "is",      "join",     "key",     "lateral",
    "like",      "limit",       "nchar",   "not",      "numeric", "nvarchar",
    "offset",    "on",          "or",      "order",    "over",    "partition",
    "precision", "real",        "regexp",  "rlike",    "row",     "rows",
    "select",    "separator",   "set",     "signed",   "some",    "straight_join",
    "then",      "to",          "union",   "unsigned", "using",   "varbinary",
    "varchar",   "when",        "where",   "window",   "with",    "within",
    "xor",       "against",     "integer", "int",      "bigint",  "escape",
    "values",    "columns",     "of"};

constexpr std::string_view kVolatileWords[] = {
    "current_date", "current_time",  "current_timestamp", "current_user",
    "current_role", "localtime",     "localtimestamp",    "utc_date",
    "utc_time",     "utc_timestamp", "sysdate",           "curdate",
    "curtime"};

// Sorted.
constexpr std::string_view kHarmless[] = {"benchmark",
                                          "connection_id",
                                          "curdate",
                                          "current_date",
                                          "current_role",
                                          "current_time",
                                          "current_timestamp",
                                          "current_user",
                                          "curtime",
                                          "database",
                                          "default",
                                          "found_rows",
                                          "get_lock",
                                          "is_free_lock",
                                          "is_used_lock",
                                          "last_insert_id",
                                          "lastval",
                                          "load_file",
                                          "localtime",
                                          "localtimestamp",
                                          "master_pos_wait",
                                          "name_const",
                                          "nextval",
                                          "now",
                                          "rand",
                                          "release_all_locks",
                                          "release_lock",
                                          "row_count",
                                          "rownum",
                                          "schema",
                                          "session_user",
                                          "setval",
                                          "sleep",
                                          "sysdate",
                                          "system_user",
                                          "user",
                                          "utc_date",
                                          "utc_time",
                                          "utc_timestamp",
                                          "uuid",
                                          "uuid_short",
                                          "value",
                                          "values",
                                          "version",
                                          "weight_string"};
constexpr bool kHarmlessSorted = std::is_sorted(std::begin(kHarmless), std::end(kHarmless));
static_assert(kHarmlessSorted);

constexpr WordSet kCacheableSet(kCacheable);
constexpr WordSet kEverywhereSet(kEverywhere);
constexpr WordSet kNoFunctionSet(kNoFunction);

}  // namespace

bool mysql_function_writes_nothing(std::string_view name) {
  return mysql_function_is_cacheable(name, true) ||
         std::binary_search(std::begin(kHarmless), std::end(kHarmless), name);
}

bool mysql_function_is_cacheable(std::string_view name, bool has_arguments) {
  if (name == "unix_timestamp" && !has_arguments) return false;
  return kCacheableSet.contains(name);
}

bool mysql_function_is_everywhere(std::string_view name) { return kEverywhereSet.contains(name); }

bool mysql_is_no_function(std::string_view lower_word) {
  return kNoFunctionSet.contains(lower_word);
}

bool mysql_is_volatile_word(std::string_view lower_word) {
  return std::find(std::begin(kVolatileWords), std::end(kVolatileWords), lower_word) !=
         std::end(kVolatileWords);
}

}  // namespace hyperdrive::proxy::sql
