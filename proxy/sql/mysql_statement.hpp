// One MySQL statement as tokens, and what is found in it.
#pragma once

#include <string>
#include <vector>

#include "proxy/sql/analysis.hpp"
#include "proxy/sql/mysql_lexer.hpp"

namespace hyperdrive::proxy::sql {

/// A token with its word in lower case, so that keywords compare.
struct MysqlWord {
  MysqlToken token;
  std::string lower;  ///< of kWord; empty for all else

  bool is(std::string_view word) const { return lower == word; }
  bool is_symbol(std::string_view symbol) const {
    return token.kind == MysqlTokenKind::kSymbol && token.text == symbol;
  }
  bool is_name() const {
    return token.kind == MysqlTokenKind::kWord || token.kind == MysqlTokenKind::kQuotedName;
  }
};
using MysqlWords = std::vector<MysqlWord>;

/// What reading a statement's tables, functions and variables gives.
struct MysqlFindings {
  std::vector<Name> tables;
  std::vector<Call> functions;
  std::uint16_t state = 0;
  std::string volatile_reason;
  std::string uncacheable_reason;
  std::vector<std::string> ctes;   ///< in lower case
  std::vector<std::string> words;  ///< names, in lower case
  bool reads_dates = false;
  bool makes_times = false;
  bool combines = false;   ///< see MysqlTraits
  bool is_unsure = false;  ///< a string stands where only a name can: sql_mode is not as believed
};

/// Reads all table references and calls in words[from …].
MysqlFindings read_mysql(const MysqlWords& words, std::size_t from);

/// Where the table's name begins behind INSERT or REPLACE, which stand before words[at].
std::size_t mysql_insert_target(const MysqlWords& words, std::size_t at);

/// The (qualified) name at words[at]; moves `at` behind it.
Name mysql_table_at(const MysqlWords& words, std::size_t& at);

/// Whether it is a definition (DROP, ALTER, CREATE without a query …), which runs no function and
/// no view of those that it names.
bool mysql_only_defines(const MysqlWords& words);

/// Effect, targets, settings of the statement; `findings` as read_mysql gave them.
Statement classify_mysql(const MysqlWords& words, const MysqlFindings& findings);

}  // namespace hyperdrive::proxy::sql
