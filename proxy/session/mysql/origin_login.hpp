// Opening a connection to a MySQL or MariaDB origin: name, socket, greeting, TLS by its mode,
// handshake response, the password by whatever method the origin asks for, until OK. One deadline
// for all of it; what the origin sends is bounded in size.
//
// What a connection *is* cannot be changed after its login in these respects, so a pool must not
// lend it to a client that asked for something else:
//   kFoundRows      affected_rows of an UPDATE counts rows found, not changed. mysql2 and mysqljs
//                   ask for it, PyMySQL and PHP do not: the same statement gives other numbers.
//   kIgnoreSpace    adds IGNORE_SPACE to sql_mode at login: `count (*)` parses differently. (It can
//                   be had by SET sql_mode too: read @@sql_mode behind a login with it.)
//   kLocalFiles     without it the origin refuses LOAD DATA LOCAL with error 4166 / 3948 / 1148.
//   kMultiStatements can be toggled by COM_SET_OPTION; kInteractive only picks a time-out.
// The others only shape packets (kDeprecateEof, kSessionTrack, kMariadbExtendedMetadata,
// kMariadbCacheMetadata, kPsMultiResults) or are translated without loss.
//
// An OriginTarget is made once from a config and shared, read-only, by all threads. log_in() runs
// on the given loop's thread and calls back there; the handle it returns owns the attempt.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "core/config/config.hpp"
#include "proxy/net/loop.hpp"
#include "proxy/session/origin_failure.hpp"
#include "proxy/session/origin_target.hpp"
#include "proxy/wire/mysql/protocol.hpp"

namespace hyperdrive::proxy::session::mysql {

struct OriginTarget : BaseTarget {};

/// See make_base_target().
core::Result<std::shared_ptr<const OriginTarget>> make_origin_target(
    const core::Config& config, const core::Certificates& certificates);

/// What an origin connection is asked for unless the caller says otherwise.
inline constexpr std::uint64_t kUsualCapabilities = [] {
  namespace c = wire::mysql::capability;
  return c::kLongFlag | c::kProtocol41 | c::kTransactions | c::kSecureConnection |
         c::kMultiStatements | c::kMultiResults | c::kPsMultiResults | c::kPluginAuth |
         c::kPluginAuthLenencClientData | c::kConnectAttrs | c::kSessionTrack | c::kLocalFiles |
         c::kDeprecateEof | c::kMariadbStmtBulkOperations | c::kMariadbExtendedMetadata;
}();

/// What a session shall be. kConnectWithDb, kSsl and kLongPassword are set by the login itself;
/// what the origin does not offer is left out.
struct LoginWishes {
  std::uint64_t capabilities = kUsualCapabilities;
  std::uint8_t charset = wire::mysql::kUtf8mb4GeneralCi;
  std::optional<std::string> database;  ///< empty: none; unset: the target's
  /// Connection attributes, shown in performance_schema.session_connect_attrs.
  std::vector<std::pair<std::string, std::string>> attributes = {{"program_name", "Hyperdrive"}};
};

/// A connection that has just answered the login with OK; it awaits a command. The stream has no
/// handler yet and is paused.
struct OriginSession {
  std::unique_ptr<net::Stream> stream;
  std::string server_version;             ///< as greeted: "5.5.5-10.11.19-MariaDB-0+deb12u1"
  std::uint32_t connection_id = 0;        ///< KILL's
  std::uint64_t server_capabilities = 0;  ///< as greeted, MariaDB's above bit 32
  std::uint64_t capabilities = 0;         ///< agreed on: what shapes the packets
  std::uint8_t charset = 0;               ///< the wish's
  std::uint16_t status = 0;               ///< of the login's OK
  std::string session_state;              ///< of the login's OK; see wire::mysql::for_each_change
  LoginProgress progress;

  bool is_mariadb() const;
  /// Without MariaDB's "5.5.5-": "10.11.19-MariaDB-0+deb12u1".
  std::string_view version() const;
  unsigned version_number() const;  ///< 101119 is 10.11.19
};

using LoginResult = tl::expected<OriginSession, LoginFailure>;

/// One attempt under way. Destroying it abandons the attempt: `done` is not called then.
class OriginLogin {
 public:
  virtual ~OriginLogin() = default;
};

/// `done` is called once, never from within this call; it may destroy the handle. `address`:
/// connect here instead of resolving `target->host` (verify has resolved it already); empty:
/// resolve.
std::unique_ptr<OriginLogin> log_in(net::Loop& loop, std::shared_ptr<const OriginTarget> target,
                                    LoginWishes wishes, std::function<void(LoginResult)> done,
                                    std::string address = {});

/// KILL QUERY over a connection of its own. `done` when the origin has answered, or nothing more
/// can be done: from then on it can hit nobody else. Same rules as log_in.
std::unique_ptr<OriginLogin> send_kill_query(net::Loop& loop,
                                             std::shared_ptr<const OriginTarget> target,
                                             std::uint32_t connection_id,
                                             std::function<void()> done);

/// What an ERR packet during login means to a person, with Cloudflare's code. Pure.
LoginFailure classify_origin_error(const OriginTarget& target, std::string_view error_payload);

/// The same for a client: the origin's own ERR, with the hint behind its words (an ERR has no place
/// of its own for one). Empty if the origin has said nothing.
std::string told_to_clients(const LoginFailure& failure);

}  // namespace hyperdrive::proxy::session::mysql
