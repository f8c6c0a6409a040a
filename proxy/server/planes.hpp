// Which plane serves a config: the only place of proxy/server that names the protocols.
#pragma once

#include <memory>
#include <vector>

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "proxy/session/plane.hpp"

namespace hyperdrive::proxy::server {

/// `telemetry` and `loops` (one worker each) outlive the plane.
core::Result<std::unique_ptr<session::Plane>> make_plane(const core::Launch& launch,
                                                         session::Telemetry& telemetry,
                                                         const std::vector<net::Loop*>& loops);

}  // namespace hyperdrive::proxy::server
