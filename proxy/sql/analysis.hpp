// What a statement is, from its text alone: may its answer be cached, what does it read or write.
//
// Pure: bytes in, values out; no catalog, no I/O. Names are resolved against the origin's catalogs in
// catalog.hpp. An Analysis is computed once per distinct text and shared, immutable, by all threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hyperdrive::proxy::sql {

/// Cloudflare's names for what became of a query (shared/cache.md).
enum class CacheStatus : std::uint8_t {
  kHit, kMiss, kStale, kDisabled, kUncacheable, kVolatile, kTransaction, kMultipleStatements,
  kNotAQuery, kParseError, kOversizedQuery, kOversizedResult, kBypass,
};
std::string_view name(CacheStatus status);   ///< "hit", "miss", "multiplestatements" …
inline constexpr int kCacheStatusCount = 13;

/// A relation or function as written; `schema` is empty if unqualified. Identifiers are already
/// folded and unquoted, as the grammar does.
struct Name {
  std::string schema;
  std::string name;
  friend bool operator==(const Name&, const Name&) = default;
};

/// What the session must know of a statement before it forwards it.
enum class Effect : std::uint8_t {
  kRead,            ///< a lone SELECT/VALUES/TABLE that writes nothing by its grammar
  kWrite,           ///< INSERT, UPDATE, DELETE, MERGE, TRUNCATE, COPY FROM, with known targets
  kUnknownWrite,    ///< DO, CALL, DDL, several statements … : anything may have changed
  kBegin, kCommit, kRollback, kSavepoint,
  kSet, kReset, kSetLocal, kDiscard, kPrepare, kExecute, kDeallocate, kListen, kUnlisten, kNotify,
  kDeclareCursor, kClose, kFetch, kLock, kCopyTo, kShow, kExplain, kCreateTemp, kOther, kEmpty,
};

/// Control comments: `/* hyperdrive: max-age=5, swr=0, no-cache, tag=products */`.
struct Hints {
  bool no_cache = false;
  std::optional<int> max_age;
  std::optional<int> stale_while_revalidate;
  std::vector<std::string> tags;
  std::vector<std::string> invalid;   ///< hints that did not parse: ignored, shown, counted
};

struct Setting {                       ///< SET name = value of a tracked or untracked setting
  std::string name;                    ///< lower case
  std::string value;                   ///< as text; empty with `is_default`
  bool is_default = false;
  bool is_local = false;
};

struct Statement {                     ///< one of the statements of a text
  Effect effect = Effect::kOther;
  std::vector<Name> writes;            ///< targets of kWrite
  std::optional<Setting> setting;      ///< kSet, kSetLocal, kReset
  std::string argument;                ///< PREPARE/EXECUTE/DEALLOCATE/LISTEN/cursor name; empty: ALL
};

struct Analysis {
  std::vector<Statement> statements;   ///< in order; empty for an empty text
  CacheStatus status = CacheStatus::kNotAQuery;  ///< kMiss: cacheable as far as the text tells
  std::string reason;                  ///< in words, for people: "now() is STABLE"
  std::vector<Name> tables;            ///< every relation read, at any depth
  std::vector<Name> functions;         ///< every function called, to be judged by the catalog
  std::vector<Name> operators;         ///< every operator used, likewise
  std::vector<Name> types;             ///< every type cast to
  bool has_input_word = false;         ///< now/today/tomorrow/yesterday… in some string literal
  Hints hints;
};

/// Parses and analyses one text as a client sent it. Never fails: what the grammar does not know is
/// kParseError and goes to the origin.
std::shared_ptr<const Analysis> analyse(std::string_view text);

}  // namespace hyperdrive::proxy::sql
