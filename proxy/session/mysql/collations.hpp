// The collations that a client can log in with, by the number that its handshake carries.
//
// Read-only data, for any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace hyperdrive::proxy::session::mysql {

/// As SET NAMES says it. Empty: unknown, or one that no client may use; the origin's own default is
/// then in force, as at a direct login.
std::string_view names_of_collation(std::uint16_t id, bool is_mariadb);

}  // namespace hyperdrive::proxy::session::mysql
