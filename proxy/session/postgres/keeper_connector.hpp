// Logs the cache's keeper in at the origin as the proxy's sessions do.
#pragma once

#include <memory>

#include "proxy/session/postgres/cache_keeper.hpp"
#include "proxy/session/postgres/origin_login.hpp"

namespace hyperdrive::proxy::session::postgres {

std::unique_ptr<KeeperConnector> make_keeper_connector(std::shared_ptr<const OriginTarget> target);

}  // namespace hyperdrive::proxy::session::postgres
