// Passwords that a slip of the keyboard put where no secret belongs: a connection string in the
// place of a name, a number or a flag comes back in an error's words. Pure; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace hyperdrive::core {

/// Where the password of a URL in `text` (`scheme://user:password@…`) begins; none: no such URL.
std::optional<std::size_t> url_password(std::string_view text);

/// `text` with `***` for the passwords of its URLs (and for `password=…`). The word `password`
/// itself stays: texts that explain the form say it.
std::string concealed(std::string_view text);

}  // namespace hyperdrive::core
