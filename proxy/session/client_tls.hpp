// TLS towards clients, as the config wants it; the same for every protocol.
#pragma once

#include <memory>

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "proxy/net/tls.hpp"

namespace hyperdrive::proxy::session {

/// Null: TLS is not offered. Fails where it has to be (a listener that is not on loopback) and
/// cannot: certificates that are missing or wrong.
core::Result<std::shared_ptr<net::TlsContext>> make_client_tls(const core::LocalSettings& local);

}  // namespace hyperdrive::proxy::session
