// Analyses of MySQL and MariaDB statements, in the same terms as those of Postgres.
//
// By tokens, not by a grammar: what a statement is and which tables it names is found for the forms
// that are known, and everything else is refused (status `uncacheable` or `volatile`) and said to
// write anything. Names keep their case; Name::schema is the database, if written.
//
// What the caller must add from the origin's information_schema: views among `tables` (refuse them,
// or read their definitions), triggers and cascading foreign keys of written tables, and tables
// with TIME columns, which MySQL turns into a DATETIME by today's date (`text_may_become_time` says
// that the statement reads dates).
#pragma once

#include <memory>
#include <string_view>

#include "proxy/sql/analysis.hpp"
#include "proxy/sql/mysql_lexer.hpp"

namespace hyperdrive::proxy::sql {

/// The command of what stands behind a statement that makes of sql_mode what only the server knows,
/// and would be read in one way under this mode and in another under that: it may do anything.
inline constexpr std::string_view kMysqlUnreadEnd = "the end of a text behind a change of sql_mode";

/// USE gives a setting named "database"; SET NAMES one named "names"; SET CHARACTER SET
/// "character_set"; GLOBAL and PERSIST settings make kUnknownWrite of the statement.
/// Long lists of values are passed over; a text that has too many words even so may do anything.
/// Each statement of several is read under the sql_mode that those before it have left.
std::shared_ptr<const Analysis> analyse_mysql(std::string_view text, MysqlLexing lexing = {});

/// Of a text that nobody reads: it may do anything. `what`: for people.
/// `size`: its bytes.
std::shared_ptr<const Analysis> unread_mysql(std::string_view what, std::size_t size);

}  // namespace hyperdrive::proxy::sql
