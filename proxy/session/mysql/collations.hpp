// The collations that a client can log in with, by the number that its handshake (one byte) or
// COM_CHANGE_USER (two) carries.
//
// Read-only data, for any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/sql/mysql_lexer.hpp"

namespace hyperdrive::proxy::session::mysql {

/// As SET NAMES says it; DEFAULT for one that is unknown, or that no client may use, as at a direct
/// login. Empty: the one with which origin connections log in.
std::string names_of_collation(std::uint16_t id, const sql::MysqlServer& server);

/// The character set's name, if it is one that no client may use: with more than one byte for an
/// ASCII letter. Else empty.
std::string_view wide_charset(std::uint16_t id);

}  // namespace hyperdrive::proxy::session::mysql
