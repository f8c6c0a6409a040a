#include "proxy/session/mysql/plane.hpp"

#include "proxy/session/mysql/cache_service.hpp"
#include "proxy/session/mysql/client.hpp"
#include "proxy/session/mysql/opener.hpp"
#include "proxy/session/mysql/origin_login.hpp"
#include "proxy/session/mysql/worker.hpp"
#include "proxy/session/protocol_plane.hpp"

namespace hyperdrive::proxy::session::mysql {
namespace {

struct Mysql {
  using Options = mysql::Options;
  using Service = mysql::Service;
  using Worker = mysql::Worker;
  using Opener = OriginOpener;
  using Cache = CacheService;
  // A KILL wants an answer at once, and whether its number was known.
  static constexpr bool kPassesCancels = false;
  static constexpr auto target = make_origin_target;
  static auto verifier(const core::LocalSettings& local) {
    return wire::mysql::PasswordVerifier::of(local.local_password);
  }
};

}  // namespace

core::Result<std::unique_ptr<Plane>> make_plane(const core::Launch& launch, Telemetry& telemetry,
                                                const std::vector<net::Loop*>& loops) {
  return ProtocolPlane<Mysql>::make(launch, telemetry, loops);
}

}  // namespace hyperdrive::proxy::session::mysql
