// The functions of MySQL and MariaDB whose answers depend on their arguments and on settings that
// are in the key alone. All others, stored functions among them, are not cached.
#pragma once

#include <string_view>

namespace hyperdrive::proxy::sql {

/// `name` in lower case; `has_arguments`: not called as f().
bool mysql_function_is_cacheable(std::string_view name, bool has_arguments);

/// Functions of the server's that write no rows, cacheable or not. All others may be stored ones.
bool mysql_function_writes_nothing(std::string_view name);

/// Whether every version of every server has it, so that a stored function of that name is called
/// only with a blank before its parenthesis, or by its schema's name. False where it is not known.
bool mysql_function_is_everywhere(std::string_view name);

/// Words that may stand before a parenthesis without calling anything: IN (…), VARCHAR(10) …
bool mysql_is_no_function(std::string_view lower_word);

/// Special forms that need no parentheses: CURRENT_DATE, LOCALTIME …
bool mysql_is_volatile_word(std::string_view lower_word);

}  // namespace hyperdrive::proxy::sql
