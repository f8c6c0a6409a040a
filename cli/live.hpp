// Running proxies: which there are, and telling one that its config changed.
#pragma once

#include <set>
#include <string>

#include "cli/context.hpp"
#include "cli/origin_flags.hpp"
#include "core/base/error.hpp"
#include "core/base/home.hpp"
#include "core/config/config.hpp"
#include "core/process/proxy.hpp"

namespace hyperdrive::cli {

using RunningProxies = std::set<std::string, std::less<>>;

/// Ids of the configs whose proxy runs or starts. Costs a folder listing, not a look at each
/// config.
RunningProxies running_proxies(const core::Home& home);

/// Ids that have a state file at all: the running ones and those that crashed.
RunningProxies proxies_with_state(const core::Home& home);

/// Has a running proxy take the stored config; says what needs a restart. Nothing running is fine.
core::Result<void> tell_running_proxy(Context& context, const core::Config& config,
                                      const ConfigEdit& edit);

/// Puts into `config` the address that `state` says its proxy listens on: a changed --local-port or
/// --listen takes effect at the next restart, and until then clients must go where the proxy is.
/// True if that is another than the stored one. Not running: nothing changes.
bool adopt_address(core::Config& config, const core::ProxyState& state);

/// The same, of the proxy as it is now.
bool adopt_running_address(const core::Home& home, core::Config& config);

/// The state of a config's proxy; an error with the remedy when it does not run.
core::Result<core::ProxyState> need_running_proxy(Context& context, const core::Config& config);

}  // namespace hyperdrive::cli
