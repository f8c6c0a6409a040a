// What a group of messages asks, as far as a cache could answer it, and the key of its answer.
//
// Shapes (shared/drivers.md): a simple Query; or extended messages in this order, each optional but
// for the last:   Parse n   Describe statement n   Bind '' to n   Describe portal ''   Execute ''
// Sync and, without Bind, also with Flush at the end. Everything else (named portals, row limits,
// Close, several Executes) is the origin's.
//
// Pure: views into the group, which must outlive the shape.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/net/stream.hpp"
#include "proxy/wire/postgres/frontend.hpp"

namespace hyperdrive::proxy::session::postgres {

struct GroupShape {
  enum class Kind : std::uint8_t {
    kOther,     ///< nothing for the cache
    kDescribe,  ///< asks only what a statement looks like
    kQuery,     ///< simple
    kExecute,   ///< extended
  } kind = Kind::kOther;

  bool parses = false;
  bool describes_statement = false;
  bool describes_portal = false;
  bool syncs = false;           ///< ends with Sync or is a Query: ReadyForQuery is due
  std::string_view statement;   ///< the client's name of it
  std::string_view text;        ///< of the Query or Parse; empty if neither
  wire::postgres::Oids types;   ///< of the Parse
  std::string_view parameters;  ///< Bind: formats and values, raw with their counts
  wire::postgres::Bind bind;    ///< kExecute

  bool answers_rows() const { return kind == Kind::kQuery || kind == Kind::kExecute; }
};

/// `group`: whole messages.
GroupShape read_shape(net::Bytes group);

/// Keys: `context` (who asks, under which settings), the text, the declared types in wire form (4
/// bytes each), and what kind of thing is kept under it.
void append_description_key(std::string& key, std::string_view context, std::string_view text,
                            std::string_view types);
/// A Query's answer is that of an unnamed statement without parameters, all text.
void append_result_key(std::string& key, std::string_view context, std::string_view text,
                       std::string_view types, const GroupShape& shape);

}  // namespace hyperdrive::proxy::session::postgres
