// A snapshot of the origin's catalogs, and what they make of an Analysis: which tables an answer
// depends on, which tables a write reaches, whether every function and operator may be cached.
//
// Pure data: whoever owns the origin connection runs kCatalogQueries and feeds the rows to a
// CatalogBuilder; the Catalog that comes out is immutable and may be shared by all threads. Read it
// again after DDL. Default deny: what cannot be resolved is not cacheable.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "proxy/sql/analysis.hpp"

namespace hyperdrive::proxy::sql {

using Oid = std::uint32_t;

/// The statements that fill a Catalog, in order; all columns come as text (simple protocol). Run
/// them in one REPEATABLE READ transaction with `search_path = pg_catalog` and `jit = off` (with 10
/// 000 tables the last takes a second, and three more to be compiled), after lies_preparation().
std::span<const std::string> catalog_queries();

/// The one that locks (ACCESS SHARE) every table that a view reads, up to the transaction's end.
/// Where others work, ask views_query() (their oids) in its place, and each view's row of it
/// afterwards, in a transaction of its own.
inline constexpr std::size_t kViewDefinitions = 2;
std::string_view views_query();
std::string view_definition_query(Oid view);

/// What a session is when it asks: names resolve differently for each.
struct Context {
  std::string search_path = "\"$user\", public";  ///< as SHOW search_path gives it
  std::string user;                               ///< session user, also for "$user" without a role
  std::string role;                               ///< after SET ROLE; empty: none
};

struct Resolution {
  CacheStatus status = CacheStatus::kMiss;  ///< kMiss: may be cached
  std::string reason;                       ///< in words; empty for kMiss
  /// What the answer depends on: base tables under views, partitions and inheritance children with
  /// their parents; sorted, distinct. Complete only for kMiss.
  std::vector<Oid> tables;
  /// What the statements write, with all they reach (cascades, rules, partitions); sorted,
  /// distinct.
  std::vector<Oid> writes;
  bool writes_everything = false;  ///< targets unknown: bump the whole database
  bool changes_catalog = false;    ///< DDL: read the catalogs again after its commit
  std::string writes_reason;       ///< why everything: "trigger audit on orders"
  /// Unlogged among `tables`: not in the replication stream, TTL only.
  bool reads_unlogged = false;
};

/// `cache explain`: what would become of the text, and what Cloudflare's cache would do.
struct Explanation {
  CacheStatus status = CacheStatus::kMiss;
  std::string reason;
  std::vector<std::string> tables;     ///< base tables it depends on
  std::vector<std::string> functions;  ///< functions it calls, as written
  Hints hints;
  std::string cloudflare;  ///< how Cloudflare's cache differs ("would not cache it: …"); or empty
};

struct CatalogData;
class Catalog;

Explanation explain(const Analysis& analysis, std::string_view text, const Catalog& catalog,
                    const Context& context);

class Catalog {
 public:
  ~Catalog();
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  Resolution resolve(const Analysis& analysis, const Context& context) const;

  /// Whether a statement whose own text is plain may run code that changes its session (a function,
  /// trigger, rule, view). False: nobody here could have hidden anything, and nothing needs
  /// resolving to know it.
  bool may_hide_state() const;

  /// "schema.name"; empty if the snapshot does not know it.
  std::string table_name(Oid table) const;
  /// Relations whose "schema.name" or (in public) "name" matches the glob (`*`, `?`).
  std::vector<Oid> tables_matching(std::string_view glob) const;
  /// A table with all that depends on a write to it, as Resolution::writes has it; for events of
  /// the replication stream. Empty: unknown table.
  std::vector<Oid> reach(std::string_view schema, std::string_view table) const;
  std::size_t table_count() const;
  std::size_t bytes() const;

 private:
  friend class CatalogBuilder;
  friend Explanation explain(const Analysis& analysis, std::string_view text,
                             const Catalog& catalog, const Context& context);
  explicit Catalog(std::unique_ptr<const CatalogData> data);
  std::unique_ptr<const CatalogData> data_;
};

/// Collects the rows of catalog_queries(); one builder per snapshot, one thread.
class CatalogBuilder {
 public:
  using Row = std::span<const std::optional<std::string_view>>;  ///< nullopt: NULL

  CatalogBuilder();
  ~CatalogBuilder();

  /// A row of catalog_queries()[query].
  core::Result<void> add(std::size_t query, Row row);
  std::shared_ptr<const Catalog> build();

 private:
  std::unique_ptr<CatalogData> data_;
};

}  // namespace hyperdrive::proxy::sql
