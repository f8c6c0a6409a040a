#include "proxy/server/planes.hpp"

#include "proxy/session/postgres/plane.hpp"

namespace hyperdrive::proxy::server {

core::Result<std::unique_ptr<session::Plane>> make_plane(const core::Launch& launch,
                                                         session::Telemetry& telemetry,
                                                         const std::vector<net::Loop*>& loops) {
  if (core::is_mysql(launch.config.origin.scheme)) {
    return core::fail(
        "hyperdrive-proxy does not speak MySQL yet.",
        "The config is stored and can be pushed to Cloudflare; it cannot be served here.");
  }
  return session::postgres::make_plane(launch, telemetry, loops);
}

}  // namespace hyperdrive::proxy::server
