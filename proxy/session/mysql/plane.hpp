// The MySQL plane: service, workers, pool and cache put together behind session/plane.hpp.
#pragma once

#include <memory>
#include <vector>

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "proxy/session/plane.hpp"

namespace hyperdrive::proxy::session::mysql {

/// `telemetry` and `loops` (one worker each) outlive the plane.
core::Result<std::unique_ptr<Plane>> make_plane(const core::Launch& launch, Telemetry& telemetry,
                                                const std::vector<net::Loop*>& loops);

}  // namespace hyperdrive::proxy::session::mysql
