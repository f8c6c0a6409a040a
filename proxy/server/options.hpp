// What the server itself reads of a launch document: what a reload changes, how many workers.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/config/config.hpp"

namespace hyperdrive::proxy::server {

/// Whether connections opened under `before` are of no use under `after`.
bool origin_differs(const core::Launch& before, const core::Launch& after);

/// The names of the settings and parts that a reload changes, of those that take effect at once.
std::vector<std::string> live_changes(const core::Config& before, const core::Config& after);

/// One worker on machines with one or two cores, else min(cores, 4)
/// (docs/decisions/003-workers.md).
std::size_t worker_count(const core::LocalSettings& settings);

}  // namespace hyperdrive::proxy::server
