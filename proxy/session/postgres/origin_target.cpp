#include <algorithm>

#include "proxy/session/postgres/origin_login.hpp"

namespace hyperdrive::proxy::session::postgres {

using core::SslMode;

bool is_loopback(const std::string& host) {
  std::string name = host;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name == "localhost" || name == "::1" || name == "[::1]" || name.starts_with("127.");
}

core::Result<std::shared_ptr<const OriginTarget>> make_origin_target(
    const core::Config& config, const core::Certificates& certificates) {
  auto target = std::make_shared<OriginTarget>();
  const core::Origin& origin = config.origin;
  for (const auto& [name, value] :
       {std::pair{"user", origin.user}, {"database", origin.database}}) {
    if (value.find('\0') != std::string::npos) {
      return core::fail(std::string("The origin's ") + name + " holds a zero byte.");
    }
  }
  target->host = origin.host;
  target->port = origin.port;
  target->user = origin.user;
  target->password = origin.password;
  target->database = origin.database;
  target->application_name =
      origin.application_name.empty() ? "Hyperdrive" : origin.application_name;
  target->connect_timeout = config.local.connect_timeout;
  target->scram_keys = std::make_shared<wire::postgres::ScramKeyCache>();

  const bool by_default = config.tls.mode == SslMode::kDefault;
  const SslMode fallback = is_loopback(origin.host) ? SslMode::kPrefer : SslMode::kRequire;
  target->mode = by_default ? fallback : config.tls.mode;
  if (target->mode == SslMode::kDisable) return target;

  net::TlsClientOptions options;
  options.ca_pem = certificates.ca_pem;
  options.client_pem = certificates.client_pem;
  options.client_key_pem = certificates.client_key_pem;
  if (target->mode == SslMode::kVerifyFull) {
    options.verify = net::TlsVerify::kFull;
  } else if (target->mode == SslMode::kVerifyCa ||
             (target->mode == SslMode::kRequire && !certificates.ca_pem.empty())) {
    options.verify = net::TlsVerify::kCa;
  }
  target->verifies_certificate = options.verify != net::TlsVerify::kNone;
  auto context = net::TlsContext::client(options);
  if (!context) return tl::unexpected(context.error());
  target->tls = std::move(*context);
  return target;
}

}  // namespace hyperdrive::proxy::session::postgres
