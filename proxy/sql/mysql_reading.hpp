// How the server reads what stands behind a statement of the same text: it parses one statement
// after the other, each under the sql_mode and the character set that those before have left.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/sql/mysql_statement.hpp"

namespace hyperdrive::proxy::sql {

class MysqlReading {
 public:
  explicit MysqlReading(MysqlLexing lexing)
      : lexing_(lexing), hides_ascii_(lexing.unsafe_charset) {}

  /// Takes in what a statement changes of it. `is_conditional`: only the server knows whether all
  /// of it is code.
  void pass(const MysqlWords& statement, bool is_conditional);
  MysqlLexing lexing() const { return lexing_; }
  /// Whether `rest` is read as lexing() says: the mode is known, or nothing in it depends on that.
  bool reads(std::string_view rest) const;

 private:
  /// What of a sql_mode decides how a text is read; nothing: only the server knows.
  struct Mode {
    bool ansi_quotes = false;
    bool no_backslash_escapes = false;
    friend bool operator==(const Mode&, const Mode&) = default;
  };
  using KnownMode = std::optional<Mode>;
  using Words = MysqlWords::const_iterator;

  void assign(Words begin, Words end, bool is_conditional);
  void set_mode(KnownMode mode, bool is_conditional);
  void set_charset(Words begin, Words end);
  KnownMode mode_of(Words begin, Words end) const;
  static KnownMode mode_of_text(std::string_view text);

  MysqlLexing lexing_;
  bool knows_mode_ = true;
  bool scope_is_global_ = false;  ///< in the SET that is read
  bool trusts_variables_ = true;  ///< likewise: none is assigned but where it says so
  bool hides_ascii_;  ///< characters that are not ASCII may hold bytes that look like it
  std::map<std::string, KnownMode, std::less<>> kept_;  ///< user variables that hold a mode
};

}  // namespace hyperdrive::proxy::sql
