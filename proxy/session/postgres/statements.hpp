// Prepared statements, seen three ways.
//
//   Statement      text, declared types, and what the text is understood under: one per distinct
//                  triple in the process, with the server-side name `hyperdrive_<id>`.
//   PreparedOnOrigin  which of them one origin connection has, least recently used first.
//   Named          what one client calls it, and the row shape that client was told.
//
// Statements are shared by all threads and immutable, except for what the origin says of them.
#pragma once

#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/wire/postgres/backend.hpp"

namespace hyperdrive::proxy::session::postgres {

/// One more value into a hash.
std::uint64_t mix(std::uint64_t hash, std::uint64_t value);

/// The shape of what a statement takes and gives, as far as a driver encodes and decodes by it; 0:
/// not told.
struct Shape {
  std::uint64_t parameters = 0;
  std::uint64_t rows = 0;

  bool known() const { return rows != 0 || parameters != 0; }
  bool operator==(const Shape&) const = default;
};
std::uint64_t parameters_shape(wire::postgres::Bytes parameter_description);
std::uint64_t rows_shape(wire::postgres::Bytes row_description);
std::size_t columns_of(std::uint64_t rows_shape);
inline constexpr std::uint64_t kNoRows = 1;  ///< NoData
extern const std::uint64_t kNoParameters;

/// Whether a client that was told `told` decodes answers of `now` rightly.
inline bool fits(const Shape& told, const Shape& now) {
  return (told.parameters == 0 || told.parameters == now.parameters) &&
         (told.rows == 0 || told.rows == now.rows);
}

struct Statement {
  std::uint64_t id = 0;
  std::string name;  ///< "hyperdrive_7"
  std::string text;
  std::vector<std::uint32_t> types;
  std::uint64_t fingerprint = 0;
  std::uint64_t reading = 0;  ///< the part of the fingerprint that settings make
  /// The origin does not take it as it did: nobody new may get it.
  mutable std::atomic<bool> withdrawn = false;
  /// Its shape has changed, too: who goes by the old one must prepare anew.
  mutable std::atomic<bool> retired = false;
  /// The origin has accepted it once.
  mutable std::atomic<bool> accepted = false;

  /// The types of its parameters as the origin has settled them. Postgres does so once, at Parse,
  /// whatever becomes of the tables: who was told them must find the same where it is parsed anew.
  void note_parameters(wire::postgres::Bytes parameter_description) const;
  /// What to declare for somebody who was told `shape`.
  std::vector<std::uint32_t> types_for(std::uint64_t shape) const;

 private:
  mutable std::mutex mutex_;
  mutable std::uint64_t settled_shape_ = 0;
  mutable std::vector<std::uint32_t> settled_;
};
using StatementRef = std::shared_ptr<const Statement>;

/// Postgres knows statements and portals by so many bytes of their names (NAMEDATALEN).
inline std::string known_name(std::string_view name) { return std::string(name.substr(0, 63)); }

inline constexpr std::string_view kStatementPrefix = "hyperdrive_";
/// The name of one that goes as soon as it has been of use.
inline constexpr std::string_view kProbe = "hyperdrive_probe";

/// Bounded by count and by the bytes of the texts; the least recently asked for goes first.
/// Sessions keep alive what they use.
class StatementRegistry {
 public:
  explicit StatementRegistry(std::size_t capacity = 8192, std::size_t max_bytes = 16 << 20)
      : capacity_(capacity), max_bytes_(max_bytes) {}

  StatementRef get(std::string_view text, std::span<const std::uint32_t> types,
                   std::uint64_t fingerprint, std::uint64_t reading = 0);
  /// The next get() of the same text makes another one.
  void withdraw(const Statement& statement);
  void retire(const Statement& statement);
  std::size_t size() const;

 private:
  struct Key {
    std::string_view text;
    std::span<const std::uint32_t> types;
    std::uint64_t fingerprint;
    bool operator==(const Key& other) const;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const;
  };
  static Key key_of(const Statement& statement) {
    return {statement.text, statement.types, statement.fingerprint};
  }

  void drop(std::list<StatementRef>::iterator at);

  const std::size_t capacity_;
  const std::size_t max_bytes_;
  mutable std::mutex mutex_;
  std::size_t bytes_ = 0;
  std::list<StatementRef> order_;  // last used first
  std::unordered_map<Key, std::list<StatementRef>::iterator, Hash> index_;
  std::uint64_t next_id_ = 1;
};

/// The statements one origin connection has. Its worker's thread only.
class PreparedOnOrigin {
 public:
  explicit PreparedOnOrigin(std::size_t capacity) : capacity_(capacity) {}

  /// If it has the statement, what is known of its shape there, until the next call; it then counts
  /// as just used. That shape stays: of a plan that would give another one the origin says so.
  Shape* use(std::uint64_t id);
  /// `provisional`: definitions have changed in a transaction that has not ended.
  void add(std::uint64_t id, bool provisional = false);
  /// That transaction has ended, or gone back to a savepoint: what was parsed in it may have been
  /// parsed by definitions that are no more.
  void doubt_provisional() { ++period_; }
  /// Of one that is there: whether it should be parsed anew before it is used.
  bool is_doubtful(std::uint64_t id) const;
  /// Of what is parsed now, if provisional, for is_of_the_past().
  std::uint64_t period() const { return period_; }
  bool is_of_the_past(std::uint64_t period) const { return period != 0 && period != period_; }
  void remove(std::uint64_t id);
  void clear();
  /// The one to close so that another fits; 0: none needed.
  std::uint64_t surplus() const;
  std::size_t size() const { return index_.size(); }

 private:
  struct Slot {
    std::uint64_t id;
    std::uint32_t previous, next;
    Shape shape;
    std::uint64_t period;  // 0: not provisional
  };
  void unlink(std::uint32_t at);
  void link_front(std::uint32_t at);

  const std::size_t capacity_;
  boost::unordered_flat_map<std::uint64_t, std::uint32_t> index_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  std::uint32_t head_ = kNone, tail_ = kNone;
  std::uint64_t period_ = 1;
};

}  // namespace hyperdrive::proxy::session::postgres
