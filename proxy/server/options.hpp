// From the launch document to what sessions work with; everything that can be wrong with it is
// found here, before anything is changed or opened.
#pragma once

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "proxy/pool/pool.hpp"
#include "proxy/session/postgres/worker.hpp"

namespace hyperdrive::proxy::server {

/// Derives the local login's keys (1 ms at 4096 rounds) and reads all certificates.
core::Result<session::postgres::OptionsRef> make_options(const core::Launch& launch);

pool::PoolOptions pool_options(const core::Config& config);

/// Whether connections opened under `before` are of no use under `after`.
bool origin_differs(const core::Launch& before, const core::Launch& after);

/// The names of the settings and parts that a reload changes, of those that take effect at once.
std::vector<std::string> live_changes(const core::Config& before, const core::Config& after);

/// One worker on machines with one or two cores, else min(cores, 4)
/// (docs/decisions/003-workers.md).
std::size_t worker_count(const core::LocalSettings& settings);

}  // namespace hyperdrive::proxy::server
