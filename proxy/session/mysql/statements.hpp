// Prepared statements, seen three ways.
//
//   Prepared     text, and what it was prepared under: one per distinct set in the process; shared
//   by
//                all threads, immutable.
//   PreparedOnOrigin  which of them one origin connection has, and under which id.
//   ClientStatement   what one client's id means, and the types of its last execution.
#pragma once

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/session/mysql/session_state.hpp"
#include "proxy/session/mysql/text_info.hpp"

namespace hyperdrive::proxy::session::mysql {

struct Prepared {
  std::uint64_t id = 0;
  std::string text;
  StateRef state;  ///< its names are resolved in that database, its text read under that sql_mode
  /// The same, never executed; of what has been executed with some types only (see bind()).
  std::shared_ptr<const Prepared> unbound;
};
using PreparedRef = std::shared_ptr<const Prepared>;

/// Bounded by count and by the bytes of keys and texts; the least recently asked for goes first.
/// Sessions keep alive what they use.
class PreparedRegistry {
 public:
  explicit PreparedRegistry(std::size_t capacity = 8192, std::size_t max_bytes = 32 << 20)
      : capacity_(capacity), max_bytes_(max_bytes) {}
  PreparedRef get(std::string_view text, const StateRef& state);
  /// MySQL from 8.0.22 up keeps the types of a statement's first execution, and makes what comes
  /// later of them ('abc' is 0 behind a number): statements are shared by those types, too.
  PreparedRef bind(const PreparedRef& unbound, std::string_view types);

 private:
  PreparedRef find_or_add(std::string key, Prepared prepared);

  const std::size_t capacity_;
  const std::size_t max_bytes_;
  std::mutex mutex_;
  std::size_t bytes_ = 0;
  std::list<std::pair<std::string, PreparedRef>> order_;  // by key, last used first
  std::unordered_map<std::string_view, decltype(order_)::iterator> index_;
  std::uint64_t next_id_ = 1;
};

/// The statements one origin connection has; room for the one in use there always is. Its worker's
/// thread only.
class PreparedOnOrigin {
 public:
  explicit PreparedOnOrigin(std::size_t capacity) : capacity_(std::max<std::size_t>(capacity, 1)) {}

  /// The origin's id, which then counts as just used; null: it has none.
  const std::uint32_t* use(std::uint64_t id);
  /// A statement of that name that it had before is given back, to be closed.
  std::optional<std::uint32_t> add(std::uint64_t id, std::uint32_t origin_id);
  /// Takes out the one to close so that the others fit; nothing: they do.
  std::optional<std::uint32_t> surplus();
  void remove(std::uint64_t id) { slots_.erase(id); }
  /// The statement known as `from` is known as `to` from now on, if there is one.
  void rename(std::uint64_t from, std::uint64_t to);
  /// The origin's ids of all of them, to be closed.
  std::vector<std::uint32_t> take_all();
  void clear() { slots_.clear(); }
  std::size_t size() const { return slots_.size(); }

 private:
  struct Slot {
    std::uint32_t origin_id;
    std::uint64_t used;
  };
  const std::size_t capacity_;
  boost::unordered_flat_map<std::uint64_t, Slot> slots_;
  std::uint64_t clock_ = 0;
};

struct ClientStatement {
  std::uint32_t id = 0;
  PreparedRef prepared;
  TextRef text;
  std::uint16_t parameters = 0;
  std::string types;       ///< of the last execution that bound any
  std::string bound;       ///< for which `prepared` is, where the origin keeps types
  bool is_mixed = false;   ///< `own` is for nobody else: of other types than `bound`, or a cursor
  bool long_data = false;  ///< some was sent since the last execution
  /// An ERR packet's payload: long data found no connection, so the execution fails that it is for.
  std::string lost_data;
  bool cursor = false;  ///< an execution's cursor is open
  /// The origin's id while long data or a cursor of this client's is in it: nobody else uses it,
  /// not even this client by another id for the same text.
  std::optional<std::uint32_t> own;
};

}  // namespace hyperdrive::proxy::session::mysql
