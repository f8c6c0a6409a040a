// Who may use the admin port: a program with the token, or a browser that got the dashboard's
// cookie. Pure checks over header values; comparison of secrets takes constant time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/secret.hpp"

namespace hyperdrive::proxy::admin {

struct RequestHeaders {
  std::string_view host;
  std::string_view origin;  ///< empty if absent
  std::string_view authorization;
  std::string_view cookie;
};

enum class Access { kGranted, kNoToken, kForeignHost, kForeignOrigin };

class PortAccess {
 public:
  PortAccess(std::uint16_t port, core::Secret token);

  Access check(const RequestHeaders& headers) const;
  /// Only Host and Origin: for /healthz, /readyz and the exchange of a token for the cookie.
  Access check_site(const RequestHeaders& headers) const;
  bool is_token(std::string_view text) const;
  /// `hyperdrive_PORT=…; HttpOnly; SameSite=Strict; Path=/`. Its value is random and not the token:
  /// browsers send cookies to every port of a host.
  std::string set_cookie() const;
  std::string dashboard_url() const;

 private:
  std::uint16_t port_;
  core::Secret token_;
  std::string cookie_name_;
  std::string cookie_value_;
};

}  // namespace hyperdrive::proxy::admin
