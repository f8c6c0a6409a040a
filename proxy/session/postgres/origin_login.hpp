// Opening a connection to a Postgres origin: name, socket, TLS by its mode, startup, password,
// until ReadyForQuery. One deadline for all of it; what the origin sends is bounded in size.
//
// An OriginTarget is made once from a config and shared, read-only, by all threads. log_in() runs
// on the given loop's thread and calls back there; the handle it returns owns the attempt.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "proxy/net/loop.hpp"
#include "proxy/session/origin_failure.hpp"
#include "proxy/session/origin_target.hpp"
#include "proxy/wire/postgres/scram.hpp"

namespace hyperdrive::proxy::session::postgres {

struct OriginTarget : BaseTarget {
  std::string application_name;  ///< for sessions whose client names none
  /// The password's stretched keys: kept from login to login.
  std::shared_ptr<wire::postgres::ScramKeyCache> scram_keys;
};

/// See make_base_target().
core::Result<std::shared_ptr<const OriginTarget>> make_origin_target(
    const core::Config& config, const core::Certificates& certificates);

using StartupParameters = std::vector<std::pair<std::string, std::string>>;

/// A connection that has just said ReadyForQuery. The stream has no handler yet and is paused.
struct OriginSession {
  std::unique_ptr<net::Stream> stream;
  StartupParameters parameters;  ///< ParameterStatus, in the origin's order
  std::uint32_t process_id = 0;
  std::string cancel_key;
  LoginProgress progress;

  std::string parameter(std::string_view name) const;  ///< empty if not reported
};

using LoginResult = tl::expected<OriginSession, LoginFailure>;

/// One attempt under way. Destroying it abandons the attempt: `done` is not called then.
class OriginLogin {
 public:
  virtual ~OriginLogin() = default;
};

/// `extra` are startup parameters besides user and database (client_encoding, TimeZone …);
/// application_name is the target's unless it is among them. `done` is called once, never from
/// within this call; it may destroy the handle. `address`: connect here instead of resolving
/// `target->host` (verify has resolved it already); empty: resolve.
std::unique_ptr<OriginLogin> log_in(net::Loop& loop, std::shared_ptr<const OriginTarget> target,
                                    StartupParameters extra, std::function<void(LoginResult)> done,
                                    std::string address = {});

/// Sends a CancelRequest over a connection of its own to `address` (where the session's own goes,
/// for the name may mean another server by now; empty: resolve), with TLS if `with_tls`. `done`
/// when the origin has closed it, or nothing more can be done: from then on the cancel can hit
/// nobody else. Same rules as log_in.
std::unique_ptr<OriginLogin> send_cancel(net::Loop& loop,
                                         std::shared_ptr<const OriginTarget> target,
                                         std::string address, bool with_tls,
                                         std::uint32_t process_id, std::string cancel_key,
                                         std::function<void()> done);

/// What an ErrorResponse during login means to a person, with Cloudflare's code. Pure.
LoginFailure classify_origin_error(const OriginTarget& target, std::string_view error_body);

}  // namespace hyperdrive::proxy::session::postgres
