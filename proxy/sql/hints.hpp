// Control comments at the start or the end of a statement:
//   /* hyperdrive: no-cache */   /* hyperdrive: max-age=5, swr=0, tag=products */   -- hyperdrive:
//   …
#pragma once

#include <string_view>

#include "proxy/sql/analysis.hpp"
#include "proxy/sql/mysql_lexer.hpp"

namespace hyperdrive::proxy::sql {

/// Seconds that a hint may ask for; Cloudflare's limit of max_age.
inline constexpr int kMaxHintSeconds = 3600;

/// Comments in the middle of a statement are not hints.
Hints read_hints(std::string_view text);
/// Likewise, of a text for MySQL: # begins a comment there, and quotes are other.
Hints read_mysql_hints(std::string_view text, const MysqlLexing& lexing);

}  // namespace hyperdrive::proxy::sql
