// Client: from the greeting to the login's OK.
#include <algorithm>
#include <utility>

#include "core/config/text.hpp"
#include "proxy/net/tls.hpp"
#include "proxy/session/mysql/client.hpp"
#include "proxy/session/mysql/collations.hpp"
#include "proxy/wire/mysql/auth.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;
namespace capability = my::capability;
namespace plugin = my::plugin;

namespace {

/// What can be translated between the two ends; no compression, no query attributes, no metadata
/// cache.
constexpr std::uint64_t kOffered =
    capability::kFoundRows | capability::kLongFlag | capability::kConnectWithDb |
    capability::kOdbc | capability::kLocalFiles | capability::kIgnoreSpace |
    capability::kProtocol41 | capability::kInteractive | capability::kIgnoreSigpipe |
    capability::kTransactions | capability::kReserved | capability::kSecureConnection |
    capability::kMultiStatements | capability::kMultiResults | capability::kPsMultiResults |
    capability::kPluginAuth | capability::kConnectAttrs | capability::kPluginAuthLenencClientData |
    capability::kSessionTrack | capability::kDeprecateEof;
/// MariaDB's, where the origin has them.
constexpr std::uint64_t kOfferedOfMariadb =
    capability::kMariadbStmtBulkOperations | capability::kMariadbExtendedMetadata;

}  // namespace

void Client::greet() {
  const auto refuse = [&](std::uint16_t code, std::string_view state, std::string_view text) {
    send_error(0, code, state, text);
    close_politely();
  };
  if (worker_.draining()) return refuse(1053, "08S01", "Server shutdown in progress");
  const auto limit = static_cast<std::uint64_t>(worker_.options->config.local.max_clients);
  if (worker_.service.telemetry.clients.load(std::memory_order_relaxed) > limit) {
    worker_.telemetry.add(Counter::kClientsRefused);
    return refuse(1040, "08004",
                  "Too many connections (the proxy takes " + std::to_string(limit) +
                      " clients; see --max-clients)");
  }
  auto profile = worker_.service.profile();
  if (!profile) {
    auto origin = worker_.pool().acquire(*this);
    if (!origin) return;
    worker_.pool().release(std::move(origin));
    profile = worker_.service.profile();
    if (!profile) return refuse(2003, "HY000", "The origin is not known yet. Connect again.");
  }
  send_greeting(*profile);
}

void Client::send_greeting(const OriginProfile& profile) {
  id_ = worker_.service.next_client_id(worker_.index);
  worker_.name(id_, *this);
  scramble_ = my::make_scramble();
  method_ = profile.server.is_mariadb ? plugin::kNativePassword : plugin::kCachingSha2;
  capabilities_ = kOffered;
  if (worker_.options->client_tls) capabilities_ |= capability::kSsl;
  if (profile.server.is_mariadb) {
    capabilities_ |= profile.capabilities & kOfferedOfMariadb;
  } else {
    capabilities_ |= capability::kLongPassword;
  }
  my::Greeting greeting;
  greeting.server_version = profile.server_version;
  greeting.connection_id = id_;
  greeting.capabilities = capabilities_;
  greeting.charset = my::kUtf8mb4GeneralCi;
  mode_flags_ = mode_default_ = profile.mode_flags;
  greeting.status = told_status();
  greeting.scramble = scramble_;
  greeting.plugin = method_;
  packet_to_client(0, my::build_greeting(greeting));
  sequence_ = 1;
  phase_ = Phase::kGreeted;
  stream_->resume_reading();
}

std::size_t Client::login(net::Bytes data) {
  const my::PacketRead read = my::read_packet(data, my::kMaxLoginPacket);
  if (read.status == my::ReadStatus::kNeedMore) return 0;
  const auto bad = [&] {
    send_error(sequence_, 1043, "08S01", "Bad handshake");
    close_politely();
    return data.size();
  };
  if (read.status != my::ReadStatus::kOk) return bad();
  if (read.header.sequence != sequence_) {
    send_error(static_cast<std::uint8_t>(read.header.sequence + 1), 1156, "08S01",
               "Got packets out of order");
    close_politely();
    return data.size();
  }
  ++sequence_;
  const std::size_t size = read.header.size();
  if (phase_ == Phase::kSwitched) {
    check_password(method_, read.payload);
    return phase_ == Phase::kGone ? data.size() : size;
  }
  if (my::parse_ssl_request(read.payload)) {
    if (!worker_.options->client_tls || stream_->is_tls()) return bad();
    phase_ = Phase::kEncrypting;
    // Nothing answers it, so the ClientHello may be here, too. What a stranger puts there in the
    // clear is none.
    net::start_tls_server(*stream_, worker_.options->client_tls, "", data.substr(size),
                          [this](std::string error) {
                            if (!error.empty()) return leave();
                            phase_ = Phase::kGreeted;
                          });
    return data.size();
  }
  const auto response = my::parse_handshake_response(read.payload);
  if (!response) return bad();
  handshake_response(*response);
  return phase_ == Phase::kGone ? data.size() : size;
}

void Client::handshake_response(const my::HandshakeResponse& response) {
  const Options& options = *worker_.options;
  capabilities_ &= response.capabilities;
  charset_ = response.charset;
  if (const std::string error = charset_refusal(); !error.empty()) {
    packet_to_client(sequence_, error);
    return close_politely();
  }
  user_ = response.user;
  multi_statements_ = (capabilities_ & capability::kMultiStatements) != 0;
  if (options.client_tls && !stream_->is_tls() && !options.config.local.listen.empty() &&
      !core::is_loopback(options.config.local.listen)) {
    send_error(sequence_, 3159, "HY000",
               "Connections using insecure transport are prohibited on this address: use TLS");
    return close_politely();
  }
  const std::string& database = options.target->database;
  const bool other = !response.database.empty() && response.database != database;
  // Whether a database exists is not told to somebody who has no password.
  const std::string asked(other ? response.database : net::Bytes());
  if (other)
    pending_error_ =
        my::build_err({1049, "42000",
                       "Unknown database '" + asked + "' (this config serves '" + database + "')"});
  const bool names_plugin = (capabilities_ & capability::kPluginAuth) != 0;
  if (!names_plugin) return check_password(plugin::kNativePassword, response.auth_response);
  if (response.plugin == method_ || (response.plugin.empty() && !response.auth_response.empty())) {
    return check_password(method_, response.auth_response);
  }
  scramble_ = my::make_scramble();
  switch_method(response.plugin);
}

/// With the scramble there is: behind COM_CHANGE_USER, MariaDB's connector answers the one of its
/// login whatever it is sent here, as that is what MariaDB sends.
void Client::switch_method(net::Bytes wanted) {
  if (wanted == plugin::kNativePassword || wanted == plugin::kCachingSha2) method_ = wanted;
  packet_to_client(sequence_++, my::build_auth_switch_request(method_, scramble_));
  phase_ = Phase::kSwitched;
}

bool Client::password_fits(net::Bytes method, net::Bytes answer) const {
  const Options& options = *worker_.options;
  const auto& verifier = options.verifier;
  const bool fits = method == plugin::kCachingSha2
                        ? my::check_caching_sha2_password(verifier, scramble_, answer)
                        : my::check_native_password(verifier, scramble_, answer);
  return fits && user_ == options.config.local.local_user;
}

void Client::check_password(net::Bytes method, net::Bytes answer) {
  // Some send the zero of an empty password, or one behind the answer.
  if (!password_fits(method, answer)) {
    return access_denied(!answer.empty() && answer != net::Bytes("\0", 1));
  }
  if (method == plugin::kCachingSha2) {
    packet_to_client(sequence_++,
                     my::build_auth_more_data(net::Bytes(&my::caching_sha2::kFastAuthSuccess, 1)));
  }
  logged_in();
}

void Client::access_denied(bool used_password) {
  worker_.telemetry.add(Counter::kLoginFailures);
  const std::string told = "Access denied for user '" + user_.substr(0, 80) +
                           "'@'localhost' (using password: " + (used_password ? "YES" : "NO") +
                           "; the proxy has a user and a password of its own, not the database's: "
                           "`hyperdrive url <config>` prints them)";
  if (changing_user_) return user_not_changed(my::build_err({1045, "28000", told}));
  send_error(sequence_, 1045, "28000", told);
  close_politely();
}

/// Empty: the client may use its character set.
std::string Client::charset_refusal() const {
  const std::string_view name = wide_charset(charset_);
  if (name.empty()) return {};
  return my::build_err(
      {1231, "42000",
       "Variable 'character_set_client' can't be set to the value of '" + std::string(name) + "'"});
}

/// MariaDB lets the session go on as its old user's, with the server's defaults; MySQL ends it.
void Client::user_not_changed(const std::string& error) {
  constexpr int kMostTries = 3;
  packet_to_client(sequence_, error);
  worker_.telemetry.add(Counter::kErrors);
  const auto profile = worker_.service.profile();
  if (!profile || !profile->server.is_mariadb || ++failed_changes_ >= kMostTries)
    return close_politely();
  changing_user_ = false;
  user_ = worker_.options->config.local.local_user;
  auto state = std::make_shared<State>();
  state->database = state_->database;
  state->variables.push_back({"names", "DEFAULT"});
  begin_session(std::move(state));
}

void Client::begin_session(StateRef state) {
  login_state_ = state_ = std::move(state);
  mode_flags_ = mode_default_;
  lexing_ = lexing_of(*state_);
  phase_ = Phase::kReady;
  since_ = worker_.loop.now();
}

void Client::logged_in() {
  if (changing_user_ && !pending_error_.empty()) {
    return user_not_changed(std::exchange(pending_error_, {}));
  }
  if (!pending_error_.empty()) {
    packet_to_client(sequence_, std::exchange(pending_error_, {}));
    worker_.telemetry.add(Counter::kErrors);
    return close_politely();
  }
  const bool first = !std::exchange(changing_user_, false);
  begin_session(initial_state());
  send_ok(sequence_);
  failed_changes_ = 0;
  if (!first) return;
  worker_.service.wanted_kind.store(capabilities_ & kKindMask, std::memory_order_relaxed);
  worker_.telemetry.add(Counter::kClientLogins);
  tell_session(true);
}

StateRef Client::initial_state() const {
  auto state = std::make_shared<State>();
  state->database = worker_.options->target->database;
  const std::string names = names_of_charset();
  if (!names.empty()) state->variables.push_back({"names", names});
  return state;
}

/// Empty: what an origin connection has by its own login.
std::string Client::names_of_charset() const {
  const auto profile = worker_.service.profile();
  return names_of_collation(charset_, profile ? profile->server : sql::MysqlServer());
}

}  // namespace hyperdrive::proxy::session::mysql
