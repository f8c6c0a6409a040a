// The assignments of a SET statement, with their values as they stand in the text.
//
// Pure. The analysis (proxy/sql) says that a statement is a SET and whether it writes what others
// see; this says what has to be set again on another connection.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/session/mysql/session_state.hpp"

namespace hyperdrive::proxy::session::mysql {

struct Assignment {
  enum class Kind {
    kVariable,   ///< of the session
    kGlobal,     ///< GLOBAL, PERSIST: nothing of the session
    kUser,       ///< @x
    kOneShot,    ///< holds for the next statement or transaction only
    kTransient,  ///< SET STATEMENT … FOR: over with the statement
    kUnknown,    ///< ROLE, PASSWORD, a stored program's variable …
  };
  Kind kind = Kind::kVariable;
  std::string name;
  std::string value;         ///< as SQL; empty with `is_default` and where only the server knows
  bool is_default = false;   ///< = DEFAULT
  bool is_constant = false;  ///< `value` holds for any session
  std::string copied{};      ///< the user variable (@x) that the value is, where it is one alone
  bool is_system = false;    ///< … a system variable, likewise
};

/// Of one SET statement (`text` begins with its first word or blanks).
std::vector<Assignment> read_set(std::string_view text, sql::MysqlLexing lexing,
                                 sql::MysqlServer server = {});

/// The user variables (@x) that something but another one is set to and that were not set before it
/// in the same statement.
std::vector<std::string> copied_from_before(const std::vector<Assignment>& assignments);

/// User variables that a session has set to the value of a system variable, each alone: what dumps
/// and migrations do to put settings back later. They are the session's on any connection, all
/// others end with the statement or transaction (or pin).
class KeptVariables {
 public:
  static bool may_keep(std::string_view name);
  bool knows(std::string_view name) const;
  /// `value`: as SQL; empty: it cannot be said in SQL.
  void keep(const std::string& name, std::string value);
  void forget(std::string_view name);
  void clear() { variables_.clear(); }
  /// SET @a = …, @b = …; empty: there are none.
  std::string statement() const;

 private:
  std::vector<Variable> variables_;
};

/// A value that the server gave, as SQL; nothing kept (empty) where it cannot be quoted for every
/// sql_mode.
std::string quoted_value(std::string_view raw);

}  // namespace hyperdrive::proxy::session::mysql
