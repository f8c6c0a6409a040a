// What a statement is, from its text alone: may its answer be cached, what does it read or write,
// what does it do to the session.
//
// Pure: bytes in, values out; no catalog, no I/O. Names are resolved against the origin's catalogs
// in catalog.hpp. An Analysis is computed once per distinct text (analysis_cache.hpp), immutable,
// and shared by all threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hyperdrive::proxy::sql {

/// Cloudflare's names for what became of a query.
enum class CacheStatus : std::uint8_t {
  kHit,
  kMiss,
  kStale,
  kDisabled,
  kUncacheable,
  kVolatile,
  kTransaction,
  kMultipleStatements,
  kNotAQuery,
  kParseError,
  kOversizedQuery,
  kOversizedResult,
  kBypass,
};
std::string_view name(CacheStatus status);  ///< "hit", "miss", "multiplestatements" …
inline constexpr int kCacheStatusCount = 13;

/// Text and parameters together above this are `oversizedquery`.
inline constexpr std::size_t kMaxQueryBytes = std::size_t{1} << 20;

/// A relation, function, operator or type as written; `schema` is empty if unqualified.
/// Identifiers are already folded and unquoted, as the grammar does.
struct Name {
  std::string schema;
  std::string name;
  friend bool operator==(const Name&, const Name&) = default;
};

/// What the session must know of a statement before it forwards it.
enum class Effect : std::uint8_t {
  kRead,          ///< SELECT, VALUES, TABLE that write nothing by their grammar
  kWrite,         ///< INSERT, UPDATE, DELETE, MERGE, TRUNCATE, COPY FROM: targets in `writes`
  kUnknownWrite,  ///< DO, CALL, DDL, what the grammar does not know: anything may have changed
  kBegin,
  kCommit,    ///< also COMMIT PREPARED: then `unknown_targets` is set
  kRollback,  ///< also ROLLBACK PREPARED
  kSavepoint,
  kRelease,
  kRollbackTo,
  kPrepareTransaction,
  kSet,
  kSetLocal,
  kReset,
  kDiscard,  ///< `argument`: "ALL", "PLANS", "SEQUENCES" or "TEMP"
  kPrepare,
  kExecute,
  kDeallocate,
  kListen,
  kUnlisten,
  kNotify,
  kDeclareCursor,
  kClose,
  kFetch,
  kLock,
  kCopyTo,
  kShow,
  kExplain,     ///< plain EXPLAIN; EXPLAIN ANALYZE has the effect of what it runs
  kCreateTemp,  ///< CREATE TEMP …, SELECT INTO TEMP, CREATE … pg_temp.x
  kOther,       ///< CHECKPOINT, VACUUM, ANALYZE …: neither session state nor rows
};

/// What a statement leaves behind in its session: bits of `Statement::state`.
namespace state {
inline constexpr std::uint16_t kAdvisoryLock = 1;    ///< session-level lock taken
inline constexpr std::uint16_t kAdvisoryUnlock = 2;  ///< pg_advisory_unlock(…)
inline constexpr std::uint16_t kAdvisoryUnlockAll = 4;
inline constexpr std::uint16_t kTempObject = 8;       ///< temporary table, view, sequence, function
inline constexpr std::uint16_t kHoldCursor = 16;      ///< DECLARE … WITH HOLD
inline constexpr std::uint16_t kUnknownSetting = 32;  ///< set_config with arguments not constant
inline constexpr std::uint16_t kSequence = 64;        ///< nextval, setval, currval, lastval
inline constexpr std::uint16_t kSeed = 128;           ///< setseed()
inline constexpr std::uint16_t kLoad = 256;           ///< LOAD 'library'
inline constexpr std::uint16_t kUserVariable = 1024;  ///< MySQL: @x written or read
inline constexpr std::uint16_t kTableLock = 2048;  ///< MySQL: LOCK TABLES, FLUSH … WITH READ LOCK
/// MySQL: asks for, or is asked about by, the statement before: LAST_INSERT_ID(), SHOW WARNINGS …
inline constexpr std::uint16_t kLastStatement = 4096;
inline constexpr std::uint16_t kUnknown = 512;  ///< not understood: assume anything
}  // namespace state

/// Control comments: `/* hyperdrive: max-age=5, swr=0, no-cache, tag=products */`.
struct Hints {
  bool no_cache = false;
  std::optional<int> max_age;
  std::optional<int> stale_while_revalidate;
  std::vector<std::string> tags;
  std::vector<std::string> invalid;  ///< hints that did not parse: ignored, shown, counted
};

/// One setting that SET, RESET or set_config() with constant arguments changes.
struct Setting {
  std::string name;         ///< lower case: "timezone", "role", "session_authorization" …
  std::string value;        ///< as set_config() takes it; lists joined, identifiers quoted
  bool is_default = false;  ///< RESET x, SET x TO DEFAULT
  bool is_local = false;    ///< SET LOCAL, SET TRANSACTION, set_config(…, true)
  friend bool operator==(const Setting&, const Setting&) = default;
};

/// Options of BEGIN / START TRANSACTION / COMMIT / ROLLBACK.
struct TransactionOptions {
  std::string isolation;  ///< "serializable" …; empty: not given
  std::optional<bool> read_only;
  std::optional<bool> deferrable;
  bool chain = false;  ///< AND CHAIN: a new transaction begins at once
};

/// One of the statements of a text.
struct Statement {
  Effect effect = Effect::kOther;
  std::string command;            ///< for messages: "SELECT", "LISTEN", "CREATE TABLE"
  std::vector<Name> writes;       ///< known targets: also of data-modifying WITH inside a SELECT
  bool only_adds = false;         ///< INSERT without DO UPDATE, COPY FROM: no foreign key acts
  bool unknown_targets = false;   ///< anything in the database may change: bump it whole
  std::vector<Setting> settings;  ///< kSet, kSetLocal, kReset (none: RESET ALL), set_config()
  std::string argument;  ///< name in PREPARE/EXECUTE/DEALLOCATE/LISTEN/CLOSE/SAVEPOINT; empty: ALL
  std::uint16_t state = 0;  ///< bits of namespace state
  TransactionOptions transaction;
  std::size_t offset = 0;  ///< bytes into the text; set only if there are several statements
  std::size_t length = 0;
};

/// A function call; overloads are chosen by the number of arguments, types being unknown here.
struct Call {
  Name name;
  int arguments = 0;      ///< -1: unknown, any overload may match
  bool variadic = false;  ///< VARIADIC array: any number of arguments may match
                          ///< (MySQL: a blank stands before the parenthesis)
  friend bool operator==(const Call&, const Call&) = default;
};

struct OperatorUse {
  Name name;
  bool prefix = false;
  friend bool operator==(const OperatorUse&, const OperatorUse&) = default;
};

/// A cast `x::type`, and what is known of x.
struct Cast {
  enum class Source : std::uint8_t {
    kLiteral,
    kParameter,
    kNoText,  ///< certainly no text if none of `columns` is one
    kOther,
  };
  Name type;
  Source source = Source::kOther;
  std::vector<std::string> columns;  ///< kNoText: last names of the columns it comes from
  friend bool operator==(const Cast&, const Cast&) = default;
};

/// `now`, `today`, `tomorrow`, `yesterday` as a word in a string literal.
struct InputWord {
  std::string literal;
  std::string column;       ///< the column it is directly compared with; empty: none
  Name cast;                ///< the type it is directly cast to; empty: none
  bool is_pattern = false;  ///< of LIKE: a text, unless ~~ is also an operator of the user's
  friend bool operator==(const InputWord&, const InputWord&) = default;
};

/// What only the analysis of MySQL's statements finds (mysql_analysis.hpp).
struct MysqlTraits {
  std::vector<std::string> ctes;   ///< names of WITH queries, in lower case
  std::vector<std::string> words;  ///< every name in the text, in lower case, sorted, distinct
  bool makes_times = false;        ///< calls or literals that give a TIME
  bool combines = false;  ///< several queries, NATURAL …: columns meet that the text does not name
  bool has_executable_comment = false;
};

struct Analysis {
  std::vector<Statement> statements;  ///< in order; empty for an empty text
  /// kMiss: cacheable as far as the text tells; Catalog::resolve has the last word.
  CacheStatus status = CacheStatus::kNotAQuery;
  std::string reason;        ///< in words, for people; empty for kMiss
  std::string uncacheable;   ///< a reason for `uncacheable`, which yields to `volatile`
  std::vector<Name> tables;  ///< every relation read, at any depth; CTE names are not among them
  std::vector<Call> functions;
  std::vector<OperatorUse> operators;
  std::vector<Cast> casts;
  std::vector<Cast> calls_as_casts;     ///< f(x) that is a cast if f is a type
  std::vector<std::string> attributes;  ///< x in `t.x`: a column, or a function of a row
  std::vector<std::string> aliases;     ///< column names the text itself makes; "*": unknowable
  std::vector<std::string> operands;    ///< columns inside an expression; "*": of a UNION
  std::vector<InputWord> input_words;
  /// Each `x @@ y` whose kind only the types tell: the columns among x and y.
  std::vector<std::vector<std::string>> text_matches;
  MysqlTraits mysql;
  bool joins_naturally = false;  ///< NATURAL JOIN: compares columns that the text does not name
  bool text_may_become_time = false;  ///< some cast or call could read a text as a date or time
  bool is_skimmed = false;            ///< read by words only: too large, or unknown to the grammar
  bool only_values = false;           ///< is_skimmed: it inserts values and reads no relation
  bool literal_blind = false;         ///< holds for every text that differs only in its literals
  Hints hints;

  std::size_t bytes() const;  ///< memory it takes, for budgets
};

/// How the session's settings make the server read a text.
enum class Lexing : std::uint8_t {
  kStandard,
  /// standard_conforming_strings is off, or client_encoding is one whose characters may contain
  /// ASCII bytes (SJIS, BIG5, GBK, UHC, GB18030, JOHAB, SHIFT_JIS_2004): a text with a backslash
  /// or a non-ASCII byte is then not understood (kParseError).
  kUnsure,
};

/// Parses and analyses one text as a client sent it. Never fails: what the grammar does not know is
/// kParseError, its effect kUnknownWrite (or better, if its first words tell), and goes to the
/// origin. Bounded: memory and time are proportional to the text, any nesting is survived.
std::shared_ptr<const Analysis> analyse(std::string_view text, Lexing lexing = Lexing::kStandard);

/// Whether a text holds one of the words that date and time input reads as the present
/// (now, today, tomorrow, yesterday), as a word, in any case.
bool has_input_word(std::string_view text);

/// Whether a parameter may make the answer depend on the present: it holds an input word and its
/// type (0: unknown) could be a date or time, or become one in this statement.
bool parameter_is_volatile(const Analysis& analysis, std::uint32_t type_oid,
                           std::string_view text_value);

}  // namespace hyperdrive::proxy::sql
