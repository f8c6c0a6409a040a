// Which of the user's STABLE and IMMUTABLE functions may not be believed.
//
// Postgres does not check the promise: an IMMUTABLE function may read tables or the clock, a STABLE
// one may call a VOLATILE one that writes, or set_config(). So what they are made of is read, word
// by word: names of functions that are not IMMUTABLE (user-defined ones wherever they stand,
// built-in ones where they are called), names of tables, FROM, EXECUTE, the words and types that
// know the present. A word that only looks like one costs a cached answer; a word that is hidden
// (dynamic SQL, another language) counts as all of them. Functions written in C are believed: they
// come with an extension, and nothing can be read in them (one liar among them is known by name).
#include "proxy/sql/catalog_lies.hpp"

#include "proxy/sql/builtins.hpp"

namespace hyperdrive::proxy::sql {
namespace {

// $harmless: STABLE ones whose settings are in the key of every answer.
constexpr std::string_view kLies =
    "SELECT COALESCE(pg_catalog.jsonb_object_agg(oid, kind), '{}') FROM ("
    "WITH RECURSIVE own AS MATERIALIZED ("
    " SELECT p.oid, pg_catalog.lower(p.proname) AS name, p.provolatile::text AS declared,"
    "  l.lanname NOT IN ('sql', 'plpgsql') AS other_language,"
    "  pg_catalog.lower(CASE WHEN p.prosrc = '' THEN pg_catalog.pg_get_functiondef(p.oid)"
    "   ELSE p.prosrc END) AS body"
    " FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang"
    " WHERE p.oid >= 16384 AND p.prokind IN ('f', 'w') AND p.provolatile <> 'v'"
    "  AND l.lanname NOT IN ('internal', 'c')),"
    "words AS MATERIALIZED (SELECT DISTINCT o.oid, m[1] AS word, m[2] IS NOT NULL AS called"
    " FROM own o, pg_catalog.regexp_matches(o.body,"
    "  '([[:alpha:]_][[:alnum:]_$]*)(\"?\\s*\\()?', 'g') m),"
    // Built-in VOLATILE functions that leave nothing behind.
    "shaky AS MATERIALIZED (SELECT pg_catalog.lower(q.proname) AS name, q.oid >= 16384 AS users,"
    "  pg_catalog.max(CASE WHEN q.provolatile = 'v' AND (q.oid >= 16384 OR q.proname NOT IN "
    "('random',"
    "   'clock_timestamp', 'timeofday', 'gen_random_uuid', 'pg_sleep', 'pg_sleep_for',"
    "   'pg_sleep_until')) THEN 'w' ELSE 'l' END) AS kind"
    " FROM pg_catalog.pg_proc q WHERE q.provolatile <> 'i'"
    "  AND (q.oid >= 16384 OR q.provolatile = 'v' OR q.proname NOT IN ($harmless)) GROUP BY 1, 2),"
    "direct AS ("
    " SELECT w.oid, s.kind FROM words w JOIN shaky s ON s.name = w.word AND (s.users OR w.called)"
    " UNION ALL SELECT oid, 'w' FROM words WHERE word = 'execute'"
    " UNION ALL SELECT oid, 'l' FROM words WHERE word IN ('now','today','tomorrow','yesterday',"
    "  'current_date','current_time','current_timestamp','localtime','localtimestamp','user',"
    "  "
    "'current_user','session_user','current_role','current_schema','current_catalog','tablesample',"
    "  'information_schema','date','time','timetz','timestamp','timestamptz','daterange','tsrange',"
    "  'tstzrange','datemultirange','tsmultirange','tstzmultirange','regclass','regproc',"
    "  'regprocedure','regoper','regoperator','regtype','regrole','regnamespace','regconfig',"
    "  'regdictionary','money','xml')"
    " UNION ALL SELECT w.oid, 'l' FROM words w JOIN pg_catalog.pg_class c"
    "  ON pg_catalog.lower(c.relname) = w.word AND c.relkind IN ('r','p','v','m','f','S')"
    "  AND (c.oid >= 16384 OR c.relname ~ '^pg_')"
    // FROM of a table; not of extract(… from …), IS DISTINCT FROM, or a function that makes rows.
    " UNION ALL SELECT o.oid, 'l' FROM own o WHERE o.other_language OR "
    "pg_catalog.regexp_replace(o.body,"
    "  '\\m(extract|substring|trim|overlay)\\s*\\([^()]*\\mfrom\\M|\\mdistinct\\s+from\\M|"
    "\\mfrom\\s+(unnest|generate_series|regexp_matches|regexp_split_to_table|string_to_table|"
    "jsonb?_\\w+)\\s*\\(', ' ', 'g') ~ '\\mfrom\\M'"
    // Names that are spelled by their code points, or do not stand before their parenthesis.
    " UNION ALL SELECT oid, 'w' FROM own WHERE body ~ 'u&[\"'']'"
    "  OR body ~ '(\\*/|--[^\\n]*\\n)\\s*\\('"
    " UNION ALL SELECT o.oid, CASE q.provolatile WHEN 'v' THEN 'w' ELSE 'l' END"
    "  FROM pg_catalog.pg_proc q JOIN own o ON pg_catalog.strpos(o.body, "
    "pg_catalog.lower(q.proname)) > 0"
    "  WHERE q.oid >= 16384 AND q.provolatile <> 'i'"
    "  AND q.proname !~ '^[[:alpha:]_][[:alnum:]_$]*$'"
    " UNION ALL SELECT o.oid, CASE q.provolatile WHEN 'v' THEN 'w' ELSE 'l' END"
    "  FROM pg_catalog.pg_operator x JOIN pg_catalog.pg_proc q ON q.oid = x.oprcode"
    "  JOIN own o ON pg_catalog.strpos(o.body, x.oprname) > 0"
    "  WHERE x.oid >= 16384 AND q.provolatile <> 'i'"
    // hstore's populate_record reads texts as whatever the record holds.
    " UNION ALL SELECT oid, 'l' FROM pg_catalog.pg_proc"
    "  WHERE oid >= 16384 AND prosrc = 'hstore_populate_record'"
    // LANGUAGE internal AS 'now'
    " UNION ALL SELECT p.oid, CASE pg_catalog.max(q.provolatile::text) WHEN 'v' THEN 'w' ELSE 'l' "
    "END"
    "  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang"
    "  JOIN pg_catalog.pg_proc q ON q.prosrc = p.prosrc AND q.prolang = p.prolang AND q.oid < 16384"
    "  WHERE l.lanname = 'internal' AND p.oid >= 16384 AND p.prokind IN ('f', 'w')"
    "  GROUP BY p.oid HAVING pg_catalog.max(q.provolatile::text) <> 'i'),"
    "calls AS MATERIALIZED (SELECT w.oid AS caller, o.oid AS callee"
    "  FROM words w JOIN own o ON o.name = w.word AND o.oid <> w.oid"
    " UNION SELECT o.oid, x.oprcode::pg_catalog.oid FROM pg_catalog.pg_operator x"
    "  JOIN own o ON pg_catalog.strpos(o.body, x.oprname) > 0 WHERE x.oid >= 16384),"
    "lies AS (SELECT oid, kind FROM direct"
    " UNION SELECT c.caller, lies.kind FROM lies JOIN calls c ON c.callee = lies.oid)"
    "SELECT lies.oid::text AS oid, pg_catalog.max(lies.kind) AS kind"
    " FROM lies JOIN pg_catalog.pg_proc p ON p.oid = lies.oid"
    " WHERE p.provolatile = 'i' OR p.provolatile = 's' AND lies.kind = 'w' GROUP BY lies.oid) "
    "found";

constexpr std::string_view kSetting = "hyperdrive.lies";

// $since: a transaction; whatever is as old as it or younger is new. More than some new relations
// are dearer to look for than all is to be read again.
constexpr std::string_view kNothingNew =
    "(WITH since AS MATERIALIZED (SELECT pg_catalog.age('$since'::pg_catalog.xid) AS age),"
    "own AS MATERIALIZED (SELECT pg_catalog.lower(CASE WHEN p.prosrc = ''"
    "   THEN pg_catalog.pg_get_functiondef(p.oid) ELSE p.prosrc END) AS body"
    "  FROM pg_catalog.pg_proc p WHERE p.oid >= 16384 AND p.prokind IN ('f', 'w')"
    "  AND p.provolatile <> 'v'),"
    "relations AS MATERIALIZED (SELECT pg_catalog.lower(c.relname) AS name"
    "  FROM pg_catalog.pg_class c, since WHERE c.oid >= 16384"
    "  AND c.relkind IN ('r','p','v','m','f','S') AND pg_catalog.age(c.xmin) <= since.age)"
    "SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_proc p, since"
    "  WHERE p.oid >= 16384 AND pg_catalog.age(p.xmin) <= since.age)"
    " AND NOT EXISTS (SELECT FROM pg_catalog.pg_operator o, since"
    "  WHERE o.oid >= 16384 AND pg_catalog.age(o.xmin) <= since.age)"
    " AND CASE WHEN (SELECT pg_catalog.count(*) FROM relations) > 50 THEN false ELSE"
    "  NOT EXISTS (SELECT FROM own, relations WHERE pg_catalog.strpos(body, name) > 0) END)";

std::string nothing_new_since(std::string_view since) {
  constexpr std::string_view kPlace = "$since";
  std::string text(kNothingNew);
  text.replace(text.find(kPlace), kPlace.size(), since);
  return text;
}

const std::string& lies() {
  static const std::string kText = [] {
    constexpr std::string_view kPlace = "$harmless";
    std::string text(kLies);
    text.replace(text.find(kPlace), kPlace.size(), cacheable_stable_names());
    return text;
  }();
  return kText;
}

}  // namespace

std::string lies_preparation(const KnownLies& known) {
  std::string found = "(" + lies() + ")::text";
  if (!known.found.empty()) {
    found = "CASE WHEN " + nothing_new_since(known.since) + " THEN '" + known.found + "' ELSE " +
            found + " END";
  }
  return "SELECT pg_catalog.set_config('" + std::string(kSetting) + "', " + found +
         ", true), pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot()) % 4294967296";
}

std::string with_honest_volatility(std::string_view query) {
  std::string out;
  while (true) {
    const std::size_t open = query.find('{');
    const std::size_t close = query.find('}', open);
    out += query.substr(0, open);
    if (open == std::string_view::npos || close == std::string_view::npos) return out;
    const std::string alias(query.substr(open + 1, close - open - 1));
    // Once for each query, as it depends on no row.
    out += "COALESCE((SELECT pg_catalog.current_setting('" + std::string(kSetting) +
           "')::pg_catalog.jsonb) ->> " + alias + ".oid::text, " + alias + ".provolatile::text)";
    query.remove_prefix(close + 1);
  }
}

}  // namespace hyperdrive::proxy::sql
