// The questions that fill a Catalog. Each costs one pass over a system catalog; view definitions
// are the dearest (a fraction of a millisecond a view), and lock what the views read. {p}: see
// catalog_lies.hpp.
#include "proxy/sql/catalog.hpp"
#include "proxy/sql/catalog_lies.hpp"

#include <array>
#include <string>

namespace hyperdrive::proxy::sql {
namespace {

constexpr std::string_view kRelations =
    "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relrowsecurity"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r','p','v','m','f','S') AND c.relpersistence <> 't'"
    " AND n.nspname !~ '^pg_(toast|temp)'";

constexpr std::string_view kInheritance =
    "SELECT inhparent, inhrelid FROM pg_catalog.pg_inherits i"
    " JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE c.relkind IN ('r','p','f')";

constexpr std::string_view kViews =
    "SELECT c.oid"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('v','m') AND c.relpersistence <> 't'"
    " AND n.nspname NOT IN ('pg_catalog','information_schema')";

constexpr std::string_view kDefinitions =
    "SELECT c.oid, pg_catalog.pg_get_viewdef(c.oid)"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('v','m') AND c.relpersistence <> 't'"
    " AND n.nspname NOT IN ('pg_catalog','information_schema')";

constexpr std::string_view kCascades =
    "SELECT confrelid, conrelid FROM pg_catalog.pg_constraint WHERE contype = 'f'"
    " AND (confdeltype IN ('c','n','d') OR confupdtype IN ('c','n','d'))";

// What makes a write to a relation do more than it says; relation 0: whatever converts a value may;
// relation 1: whatever makes types meet may depend on more than they do. Postgres records no
// dependency on its own functions, so that those are looked for in the expressions themselves:
// whatever is VOLATILE there and not known to leave nothing behind.
constexpr std::string_view kSideEffects =
    "SELECT tgrelid, 'trigger ' || tgname FROM pg_catalog.pg_trigger"
    " WHERE NOT tgisinternal AND tgenabled <> 'D'"
    " UNION ALL"
    " SELECT ev_class, 'rule ' || rulename FROM pg_catalog.pg_rewrite r"
    " JOIN pg_catalog.pg_class c ON c.oid = r.ev_class"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE ev_type <> '1' AND n.nspname NOT IN ('pg_catalog','information_schema')"
    " UNION ALL"
    " SELECT a.adrelid, 'a default that calls ' || p.proname FROM pg_catalog.pg_depend d"
    " JOIN pg_catalog.pg_attrdef a ON a.oid = d.objid"
    " JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid"
    " WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass"
    " AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
    " AND {p} >= 'v' AND p.oid >= 16384"
    " UNION ALL"
    " SELECT k.conrelid, 'a constraint that calls ' || p.proname FROM pg_catalog.pg_depend d"
    " JOIN pg_catalog.pg_constraint k ON k.oid = d.objid"
    " JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid"
    " WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.conrelid <> 0"
    " AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
    " AND {p} >= 'v' AND p.oid >= 16384"
    " UNION ALL"
    " SELECT i.indrelid, 'an index that calls ' || p.proname FROM pg_catalog.pg_depend d"
    " JOIN pg_catalog.pg_index i ON i.indexrelid = d.objid"
    " JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid"
    " WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
    " AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
    " AND {p} >= 'v' AND p.oid >= 16384"
    " UNION ALL"
    " SELECT y.polrelid, 'a policy that calls ' || p.proname FROM pg_catalog.pg_depend d"
    " JOIN pg_catalog.pg_policy y ON y.oid = d.objid"
    " JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid"
    " WHERE d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass"
    " AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
    " AND {p} >= 'v' AND p.oid >= 16384"
    " UNION ALL"
    " SELECT 0::pg_catalog.oid, 'a domain calls ' || p.proname FROM pg_catalog.pg_depend d"
    " JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid"
    " LEFT JOIN pg_catalog.pg_constraint k ON k.oid = d.objid"
    "  AND d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.contypid <> 0"
    " LEFT JOIN pg_catalog.pg_type t ON t.oid = d.objid"
    "  AND d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.typtype = 'd'"
    " WHERE COALESCE(k.oid, t.oid) IS NOT NULL"
    " AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
    " AND {p} >= 'v' AND p.oid >= 16384"
    " UNION ALL"
    " SELECT 0::pg_catalog.oid, 'a cast calls ' || p.proname FROM pg_catalog.pg_cast k"
    " JOIN pg_catalog.pg_proc p ON p.oid = k.castfunc"
    " WHERE {p} >= 'v' AND p.oid >= 16384"
    " UNION ALL"
    " SELECT e.relation, e.what || ' that calls ' || p.proname FROM ("
    "  SELECT adrelid AS relation, 'a default' AS what, adbin::pg_catalog.text AS body"
    "   FROM pg_catalog.pg_attrdef"
    "  UNION ALL SELECT conrelid, 'a constraint', conbin::pg_catalog.text"
    "   FROM pg_catalog.pg_constraint WHERE conbin IS NOT NULL"
    "  UNION ALL SELECT polrelid, 'a policy', pg_catalog.concat(polqual, polwithcheck)"
    "   FROM pg_catalog.pg_policy"
    "  UNION ALL SELECT 0, 'a domain''s default', typdefaultbin::pg_catalog.text"
    "   FROM pg_catalog.pg_type WHERE typtype = 'd' AND typdefaultbin IS NOT NULL) e,"
    " LATERAL (SELECT DISTINCT m[1]::pg_catalog.oid AS function"
    "  FROM pg_catalog.regexp_matches(e.body, ':(?:op)?funcid ([0-9]+)', 'g') m) called"
    " JOIN pg_catalog.pg_proc p ON p.oid = called.function"
    " WHERE p.provolatile = 'v' AND p.oid < 16384 AND p.proname NOT IN ('nextval', 'random',"
    "  'clock_timestamp', 'timeofday', 'gen_random_uuid', 'uuidv4', 'uuidv7', 'pg_sleep')"
    " UNION ALL"
    " SELECT 1::pg_catalog.oid, 'a cast to ' || t.typname || ' may read the moment, unnamed'"
    " FROM pg_catalog.pg_cast k JOIN pg_catalog.pg_type t ON t.oid = k.casttarget"
    " LEFT JOIN pg_catalog.pg_proc p ON p.oid = k.castfunc"
    " WHERE k.oid >= 16384 AND k.castcontext = 'i' AND (k.castmethod = 'f' AND {p} <> 'i'"
    "  OR k.castmethod = 'i' AND (t.oid >= 16384 OR t.typcategory IN ('D', 'R')"
    "   OR t.typname LIKE 'reg%'))";

// Of an aggregate pg_proc says IMMUTABLE whatever its parts are.
constexpr std::string_view kFunctions =
    "SELECT DISTINCT n.nspname, p.proname, p.pronargs, p.pronargdefaults, p.provariadic <> 0,"
    " CASE WHEN p.prokind = 'a' AND p.oid >= 16384 THEN"
    "  (SELECT pg_catalog.max({x}) FROM pg_catalog.pg_aggregate g"
    "   JOIN pg_catalog.pg_proc x ON x.oid IN (p.oid, g.aggtransfn, g.aggfinalfn, g.aggcombinefn,"
    "   g.aggserialfn, g.aggdeserialfn, g.aggmtransfn, g.aggminvtransfn, g.aggmfinalfn)"
    "   WHERE g.aggfnoid = p.oid)"
    " ELSE {p} END,"
    " p.pronargs = 1 AND (t.typtype = 'c' OR t.oid IN (2249, 2276, 2283, 2776, 5077, 5079)),"
    " CASE WHEN p.oid >= 16384 THEN (SELECT pg_catalog.string_agg(element, ',')"
    "  FROM (SELECT DISTINCT CASE WHEN x.typcategory = 'A' THEN x.typelem ELSE x.oid END"
    "    ::pg_catalog.text AS element FROM pg_catalog.pg_type x"
    "    WHERE x.oid = ANY (p.proargtypes::pg_catalog.oid[])) one"
    "  WHERE element::pg_catalog.oid >= 16384 OR element = '1266') END"
    " FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
    " LEFT JOIN pg_catalog.pg_type t ON t.oid = p.proargtypes[0]"
    " WHERE p.prokind <> 'p' AND n.nspname !~ '^pg_temp'";

constexpr std::string_view kOperators =
    "SELECT DISTINCT n.nspname, o.oprname, o.oprleft = 0, {p}, pg_catalog.concat(o.oprleft, ',', "
    "o.oprright)"
    " FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace"
    " JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode WHERE o.oid >= 16384";

constexpr std::string_view kTypes =
    "SELECT n.nspname, t.typname, t.oid, t.typtype, t.typbasetype,"
    " CASE WHEN i.oid IS NULL THEN 'v' ELSE {i} END,"
    " EXISTS (SELECT FROM pg_catalog.pg_cast k JOIN pg_catalog.pg_proc p ON p.oid = k.castfunc"
    "  WHERE t.oid IN (k.castsource, k.casttarget) AND {p} <> 'i')"
    " OR COALESCE({o} <> 'i' AND o.oid >= 16384, false)"
    " OR t.typtype = 'd' AND EXISTS (SELECT FROM pg_catalog.pg_constraint k"
    "  WHERE k.contypid = t.oid AND (k.conbin::pg_catalog.text"
    "    ~ 'SQLVALUEFUNCTION|COERCEVIAIO|COERCETODOMAIN :|XMLEXPR'"
    "   OR EXISTS (SELECT FROM pg_catalog.regexp_matches(k.conbin::pg_catalog.text,"
    "    ':(?:op)?funcid ([0-9]+)', 'g') m"
    "    JOIN pg_catalog.pg_proc p ON p.oid = m[1]::pg_catalog.oid WHERE {p} <> 'i'))),"
    " (SELECT pg_catalog.string_agg((CASE WHEN x.typcategory = 'A' THEN x.typelem ELSE x.oid END)"
    "   ::pg_catalog.text, ',') FROM pg_catalog.pg_type x WHERE x.oid IN ("
    "   SELECT atttypid FROM pg_catalog.pg_attribute"
    "    WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped"
    "   UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE t.typtype IN ('r', 'm')"
    // Postgres 13 has no multiranges.
    "    AND t.oid IN (r.rngtypid, (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::pg_catalog.oid)))"
    " FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace"
    " LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid"
    " LEFT JOIN pg_catalog.pg_proc i ON i.oid = t.typinput"
    " LEFT JOIN pg_catalog.pg_proc o ON o.oid = t.typoutput"
    " WHERE t.oid >= 16384 AND t.typcategory <> 'A' AND n.nspname !~ '^pg_(toast|temp)'"
    " AND (c.oid IS NULL OR c.relkind = 'c')";

// Classes of column types, by the oids of pg_type.dat:
//   d date, timestamp(tz), their ranges   h time   z timetz    n numbers, bool, uuid, enums …
//   t texts                               v tsvector           j json, jsonb
//   u a type with a user-defined cast or output that is not IMMUTABLE          x all else
// A name that has one class in the whole database needs no list of relations.
constexpr std::string_view kColumns =
    "SELECT attname, class, CASE WHEN class IN ('h','z','u') OR pg_catalog.count(*)"
    "  OVER (PARTITION BY attname) > 1 THEN relations END,"
    " pg_catalog.count(*) OVER (PARTITION BY attname) = 1"
    " FROM (SELECT attname, class, pg_catalog.string_agg(attrelid::pg_catalog.text, ',') relations"
    "  FROM (SELECT a.attname, a.attrelid, CASE"
    "   WHEN b.oid >= 16384 AND (b.typtype = 'b' AND EXISTS (SELECT FROM pg_catalog.pg_proc o"
    "    WHERE o.oid = b.typoutput AND {o} <> 'i') OR EXISTS (SELECT"
    "    FROM pg_catalog.pg_cast k JOIN pg_catalog.pg_proc p ON p.oid = k.castfunc"
    "    WHERE k.castsource = b.oid AND {p} <> 'i')) THEN 'u'"
    "   WHEN b.oid IN (1082,1114,1184,3908,3910,3912,4533,4534,4535) THEN 'd'"
    "   WHEN b.oid = 1083 THEN 'h' WHEN b.oid = 1266 THEN 'z'"
    "   WHEN b.oid IN (16,17,20,21,23,26,700,701,790,1186,1560,1562,1700,2950,869,650,829,774,"
    "    3904,3906,3926) OR b.typtype = 'e' THEN 'n'"
    "   WHEN b.oid IN (18,19,25,1042,1043) THEN 't'"
    "   WHEN b.oid = 3614 THEN 'v' WHEN b.oid IN (114,3802) THEN 'j' ELSE 'x' END AS class"
    "   FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"
    "   JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    "   JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
    "   JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typcategory = 'A' THEN t.typelem"
    "    WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END"
    "   WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r','p','v','m','f')"
    "   AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
    "  ) one GROUP BY 1, 2) grouped";

constexpr std::array<std::string_view, 9> kQueries = {kRelations, kInheritance, kDefinitions,
                                                      kCascades,  kSideEffects, kFunctions,
                                                      kOperators, kTypes,       kColumns};

std::array<std::string, kQueries.size()> believable() {
  std::array<std::string, kQueries.size()> queries;
  for (std::size_t i = 0; i < queries.size(); ++i) queries[i] = with_honest_volatility(kQueries[i]);
  return queries;
}

}  // namespace

std::span<const std::string> catalog_queries() {
  static const auto kBelievable = believable();
  return kBelievable;
}

std::string_view views_query() { return kViews; }

std::string view_definition_query(Oid view) {
  const std::string oid = std::to_string(view);
  return "SELECT " + oid + ", pg_catalog.pg_get_viewdef(" + oid + "::pg_catalog.oid)";
}

}  // namespace hyperdrive::proxy::sql
