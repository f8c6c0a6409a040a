#include "proxy/session/origin_target.hpp"

#include <fmt/format.h>

#include "core/config/text.hpp"

namespace hyperdrive::proxy::session {

using core::SslMode;

std::string BaseTarget::place() const {
  const bool bare_v6 = host.find(':') != std::string::npos && host.front() != '[';
  return bare_v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

std::string_view BaseTarget::protocol() const {
  return core::is_mysql(scheme) ? "MySQL" : "Postgres";
}

std::string_view BaseTarget::word(SslMode mode) const { return core::ssl_mode_name(mode, scheme); }

core::Result<BaseTarget> make_base_target(const core::Config& config,
                                          const core::Certificates& certificates) {
  BaseTarget target;
  const core::Origin& origin = config.origin;
  for (const auto& [name, value] :
       {std::pair{"user", origin.user}, {"database", origin.database}}) {
    if (value.find('\0') != std::string::npos) {
      return core::fail(std::string("The origin's ") + name + " holds a zero byte.");
    }
  }
  target.scheme = origin.scheme;
  target.host = origin.host;
  target.port = origin.port;
  target.user = origin.user;
  target.password = origin.password;
  target.database = origin.database;
  target.connect_timeout = config.local.connect_timeout;

  target.mode = core::effective_ssl_mode(config);
  if (target.mode == SslMode::kDisable) return target;

  net::TlsClientOptions options;
  options.ca_pem = certificates.ca_pem;
  options.client_pem = certificates.client_pem;
  options.client_key_pem = certificates.client_key_pem;
  if (target.mode == SslMode::kVerifyFull) {
    options.verify = net::TlsVerify::kFull;
  } else if (target.mode == SslMode::kVerifyCa ||
             (target.mode == SslMode::kRequire && !certificates.ca_pem.empty())) {
    options.verify = net::TlsVerify::kCa;
  }
  target.verifies_certificate = options.verify != net::TlsVerify::kNone;
  auto context = net::TlsContext::client(options);
  if (!context) return tl::unexpected(context.error());
  target.tls = std::move(*context);
  return target;
}

}  // namespace hyperdrive::proxy::session
