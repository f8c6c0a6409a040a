// What a Catalog holds: the rows of catalog_queries(), indexed by name and by oid.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "proxy/sql/catalog.hpp"

namespace hyperdrive::proxy::sql {

/// `*` and `?` as in file names.
bool glob_matches(std::string_view glob, std::string_view text);

/// Lookups by string_view without a copy.
struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};
template <class T>
using NameMap = std::unordered_map<std::string, T, StringHash, std::equal_to<>>;

struct Relation {
  Oid oid = 0;
  std::string schema;
  std::string name;
  char kind = 'r';         ///< pg_class.relkind
  char persistence = 'p';  ///< pg_class.relpersistence
  bool row_security = false;
};

struct Function {
  std::string schema;
  int arguments = 0;
  int defaults = 0;
  bool variadic = false;
  char volatility = 'v';   ///< see catalog_lies.hpp; the worst of an aggregate's parts
  bool takes_row = false;  ///< its one argument may be a row: callable as `t.f`
  std::vector<Oid> takes;  ///< user's types and timetz among its arguments; until build()
};

struct Operator {
  std::string schema;
  bool prefix = false;
  char volatility = 'v';
  std::vector<Oid> takes;  ///< as of a Function
};

/// A type that is not of pg_catalog.
struct Type {
  std::string schema;
  Oid oid = 0;
  char kind = 'b';  ///< pg_type.typtype
  Oid base = 0;     ///< of a domain
  char input_volatility = 'v';
  /// Some user-defined cast from or to it, or its CHECK, is not IMMUTABLE.
  bool has_unsafe_cast = false;
  std::vector<Oid> parts;  ///< of a composite or a range; of an array among them its elements' type
};

/// Columns of one name and one class of types.
struct ColumnGroup {
  char type_class = 'x';    ///< see kColumns in catalog_queries.cpp
  bool everywhere = false;  ///< all columns of this name are of this class
  std::unordered_set<Oid> relations;
};

struct CatalogData {
  NameMap<std::vector<std::size_t>> relations_by_name;
  std::vector<Relation> relations;
  std::unordered_map<Oid, std::size_t> relations_by_oid;
  std::unordered_map<Oid, std::vector<Oid>> children;
  std::unordered_map<Oid, std::vector<Oid>> cascades;  ///< referenced -> referencing
  std::unordered_map<Oid, std::string> side_effects;   ///< "trigger audit": a write does anything
  /// "a domain calls f": a VOLATILE function that a conversion runs unnamed; empty: there is none.
  std::string volatile_conversion;
  /// Why values of different types may meet by a cast that depends on the moment; or empty.
  std::string unnamed_cast;
  std::unordered_map<Oid, std::string> definitions;  ///< of views and materialised views
  NameMap<std::vector<Function>> functions;
  NameMap<std::vector<Operator>> operators;
  NameMap<std::vector<Type>> types;
  std::unordered_map<Oid, std::string> type_names;  ///< of `types`, by oid
  NameMap<std::vector<ColumnGroup>> columns;
  std::unordered_set<Oid> with_time;    ///< relations with columns of type time or timetz
  std::unordered_set<Oid> with_timetz;  ///< … of type timetz
  std::unordered_set<Oid> with_unsafe;  ///< with columns of class u
  bool has_volatile_operator = false;
  bool has_volatile_function = false;
  bool has_lying_writer = false;  ///< some function called STABLE or IMMUTABLE may write
  /// Reading some view may write, or change the session; so may, then, every function that reads.
  bool has_acting_view = false;
  bool may_hide_state = false;  ///< set by build(): see Catalog

  /// Analyses of view definitions, made when first asked for.
  mutable std::mutex views_mutex;
  mutable std::unordered_map<Oid, std::shared_ptr<const Analysis>> views;

  const Relation* relation(Oid oid) const;
  std::shared_ptr<const Analysis> view(Oid oid) const;
};

/// The schemas that unqualified names are looked up in, pg_catalog included where it stands.
std::vector<std::string> parse_search_path(const Context& context);

}  // namespace hyperdrive::proxy::sql
