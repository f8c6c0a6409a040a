#include "proxy/session/postgres/plane.hpp"

#include "proxy/session/postgres/cache_service.hpp"
#include "proxy/session/postgres/client.hpp"
#include "proxy/session/postgres/opener.hpp"
#include "proxy/session/postgres/origin_login.hpp"
#include "proxy/session/postgres/worker.hpp"
#include "proxy/session/protocol_plane.hpp"

namespace hyperdrive::proxy::session::postgres {
namespace {

struct Postgres {
  using Options = postgres::Options;
  using Service = postgres::Service;
  using Worker = postgres::Worker;
  using Opener = OriginOpener;
  using Cache = CacheService;
  static constexpr bool kPassesCancels = true;
  static constexpr auto target = make_origin_target;
  static auto verifier(const core::LocalSettings& local) {
    return wire::postgres::ScramVerifier::derive(local.local_password,
                                                 std::max(local.scram_rounds, 1));
  }
};

}  // namespace

core::Result<std::unique_ptr<Plane>> make_plane(const core::Launch& launch, Telemetry& telemetry,
                                                const std::vector<net::Loop*>& loops) {
  return ProtocolPlane<Postgres>::make(launch, telemetry, loops);
}

}  // namespace hyperdrive::proxy::session::postgres
