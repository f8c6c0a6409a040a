// Values of settings that are not ASCII: what may be kept of them, what becomes of names.
//
// Pure; defined in settings.cpp and settings_sql.cpp.
#pragma once

#include <string>
#include <string_view>

namespace hyperdrive::proxy::session::postgres {

bool is_ascii(std::string_view text);

/// Whether a session may keep this value of SET beyond the connection it was said on: a tracked
/// name, and a text that is the same whatever client_encoding says.
bool can_be_kept(std::string_view name, std::string_view value);

/// An application_name as a server of that version keeps it: cleaned of what is not ASCII.
std::string cleaned_name(std::string_view name, std::string_view server_version);

}  // namespace hyperdrive::proxy::session::postgres
