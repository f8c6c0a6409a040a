// What is known of the functions and types that every Postgres has, beyond what its catalogs say:
// which STABLE ones may be cached all the same, and what a type's input may read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hyperdrive::proxy::sql {

/// Why a STABLE function of pg_catalog may be cached although it is not IMMUTABLE; nothing if it
/// may not. `arguments` as in Call.
struct StableBuiltin {
  std::string_view reason;
  /// Only if no value of type time or timetz can occur: for those it asks for today's date.
  bool unless_timetz = false;
};
std::optional<StableBuiltin> cacheable_stable(std::string_view function, int arguments);

/// Names of those that may be cached whatever their arguments, as SQL literals: 'concat','format'…
std::string cacheable_stable_names();

/// What reading a text as this type may depend on.
enum class TypeClass : std::uint8_t {
  kInert,    ///< its text and the settings in the key only
  kTime,     ///< knows `now`, `today` …: the text must be known
  kTimetz,   ///< time with time zone: asks for today's date by itself
  kCatalog,  ///< regclass and its like read the catalogs
  kRefused,  ///< STABLE for reasons that the key does not hold (money, xml)
  kUnknown,
};
TypeClass builtin_type(std::string_view name);

/// Functions whose effect on their session no statement takes back that any role may give.
bool outlives_cleaning(std::string_view function);

}  // namespace hyperdrive::proxy::sql
