// What the server itself reads of a launch document: what a reload changes, how many workers.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/config/config.hpp"

namespace hyperdrive::proxy::server {

/// What became of the parts of a launch document that differ: names of settings, "origin",
/// "caching", "origin_connection_limit".
struct Reloaded {
  std::vector<std::string> changed;  ///< hold at once
  std::vector<std::string> restart;  ///< wait for a new process
};

/// Whether connections opened under `before` are of no use under `after`.
bool origin_differs(const core::Launch& before, const core::Launch& after);

/// The names of the settings and parts that a reload changes, of those that take effect at once.
std::vector<std::string> live_changes(const core::Config& before, const core::Config& after);

/// Puts back into `after` what only a new process takes: the settings that are not live, a database
/// that speaks the other protocol, the certificate that an open address needs. Their names; of
/// parts other than settings "origin".
std::vector<std::string> keep_until_restart(const core::Launch& before, core::Launch& after);

/// One worker on machines with one or two cores, else min(cores, 4)
/// (docs/decisions/003-workers.md).
std::size_t worker_count(const core::LocalSettings& settings);

}  // namespace hyperdrive::proxy::server
