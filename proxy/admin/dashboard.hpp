// The page at / on the admin port: three files, no external assets, no inline script (its
// Content-Security-Policy allows only its own origin). All text from queries enters the page
// through textContent, so that SQL is never markup.
#pragma once

#include <optional>
#include <string_view>

namespace hyperdrive::proxy::admin {

inline constexpr std::string_view kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct DashboardFile {
  std::string_view content_type;
  std::string_view body;
};

/// For "/", "/dashboard.js", "/dashboard.css".
std::optional<DashboardFile> dashboard_file(std::string_view path);

}  // namespace hyperdrive::proxy::admin
