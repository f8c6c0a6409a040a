#include "proxy/server/planes.hpp"

#include "proxy/session/mysql/plane.hpp"
#include "proxy/session/postgres/plane.hpp"

namespace hyperdrive::proxy::server {

core::Result<std::unique_ptr<session::Plane>> make_plane(const core::Launch& launch,
                                                         session::Telemetry& telemetry,
                                                         const std::vector<net::Loop*>& loops) {
  if (core::is_mysql(launch.config.origin.scheme)) {
    return session::mysql::make_plane(launch, telemetry, loops);
  }
  return session::postgres::make_plane(launch, telemetry, loops);
}

}  // namespace hyperdrive::proxy::server
