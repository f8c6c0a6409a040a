// What a MySQL session has been told to be: its database, and the system variables that it has set.
//
// A StateRef is immutable and shared: by clients, by the origin connections that were brought to
// it, by cache keys. Two of them are equal if the pointers are, else if the values are. What is not
// named in it has the value that the origin gives to a fresh session.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/sql/mysql_lexer.hpp"

namespace hyperdrive::proxy::session::mysql {

/// One assignment, in the order in which they have to be made again.
struct Variable {
  std::string name;   ///< lower case: "sql_mode", "autocommit"; "names" for SET NAMES
  std::string value;  ///< as SQL: 'STRICT_ALL_TABLES', ON, NULL; of "names": utf8mb4 COLLATE x
  friend bool operator==(const Variable&, const Variable&) = default;
};

struct State {
  std::string database;
  std::vector<Variable> variables;
  friend bool operator==(const State&, const State&) = default;

  const std::string* find(std::string_view name) const;
  /// How the origin reads a text under this state.
  sql::MysqlLexing lexing() const;
};
using StateRef = std::shared_ptr<const State>;

bool same(const StateRef& a, const StateRef& b);
StateRef with(const StateRef& state, Variable variable);
StateRef without(const StateRef& state, std::string_view name);
StateRef with_database(const StateRef& state, std::string_view database);

/// NAMES, CHARACTER SET and the variables that they set: only of these is a connection's login not
/// the server's default.
bool is_charset(std::string_view name);
/// `state`, but for what texts are read by when they are prepared: of that, as under `reading`.
StateRef read_as(const StateRef& state, const StateRef& reading);

/// What `variable` does to others: SET NAMES to the character_set_… and collation_… ones.
bool overrides(const Variable& variable, std::string_view other);

/// How fresh sessions of an origin are, as far as it has to be said in SQL.
struct Baseline {
  std::string names = "utf8mb4";  ///< what "names" goes back to, as Variable::value
  bool has_tx_isolation = true;   ///< else transaction_isolation, as MySQL since 5.7.20
  bool ignore_space = false;      ///< sql_mode's default has IGNORE_SPACE added
  bool tracks_state = false;      ///< the origin tells of changes that no text shows
};
/// A SET statement that takes a session from `from` to `to`; empty:
/// none is needed. The database is not its matter.
std::string difference(const StateRef& from, const StateRef& to, const Baseline& baseline);

}  // namespace hyperdrive::proxy::session::mysql
