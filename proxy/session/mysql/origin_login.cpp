#include "proxy/session/mysql/origin_login.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "proxy/net/task.hpp"
#include "proxy/session/mysql/dialogue.hpp"
#include "proxy/session/mysql/origin_auth.hpp"
#include "proxy/wire/mysql/handshake.hpp"
#include "proxy/wire/mysql/response.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace capability = wire::mysql::capability;
namespace my = wire::mysql;
using core::SslMode;
using net::Task;

namespace {

using Clock = std::chrono::steady_clock;
/// A step's failure, or nothing.
using Trouble = std::optional<LoginFailure>;

/// The longest login (a switch, a key, the full path) takes six packets of the origin's.
constexpr int kMaxPackets = 16;
/// What we take in one packet: MySQL's and MariaDB's highest max_allowed_packet.
constexpr std::uint32_t kMaxPacket = 1u << 30;
/// MariaDB's greeting begins so, for old replicas that take "10." for a one.
constexpr std::string_view kReplicationPrefix = "5.5.5-";

class Stopwatch {
 public:
  std::chrono::microseconds lap() {
    const auto now = Clock::now();
    return std::chrono::duration_cast<std::chrono::microseconds>(now - std::exchange(last_, now));
  }

 private:
  Clock::time_point last_ = Clock::now();
};

class Attempt {
 public:
  Attempt(net::Loop& loop, const OriginTarget& target, const LoginWishes& wishes,
          const std::string& address, net::TimePoint deadline)
      : target_(target), wishes_(wishes), address_(address), dialogue_(loop, deadline) {}

  Task<LoginResult> log_in(bool with_tls);

 private:
  Task<Trouble> connect();
  Task<Trouble> greet();
  Trouble learn(const my::Greeting& greeting);
  Task<Trouble> start_tls();
  Task<Trouble> authenticate();
  Task<Trouble> converse(OriginAuthentication& authentication);
  std::string response(const OriginAuthentication::Opening& opening) const;
  Trouble accept(my::Bytes payload);
  /// With how far it came.
  tl::unexpected<LoginFailure> failed(LoginFailure failure);

  const OriginTarget& target_;
  const LoginWishes& wishes_;
  const std::string& address_;
  Dialogue dialogue_;
  Stopwatch watch_;
  LoginProgress progress_;
  std::string plugin_;
  std::string scramble_;
  OriginSession session_;
};

Task<Trouble> Attempt::connect() {
  const std::string& host = address_.empty() ? target_.host : address_;
  const auto error = co_await dialogue_.connect(host, target_.port);
  progress_.connect = watch_.lap();
  if (error) co_return connect_failure(target_, *error);
  progress_.connected = true;
  progress_.stage = LoginStage::kGreeting;
  co_return std::nullopt;
}

// The origin speaks first: a greeting, or at once the error why it will not talk (too many
// connections, a host that may not connect).
Task<Trouble> Attempt::greet() {
  const auto packet = co_await dialogue_.packet();
  if (!packet) co_return broken_failure(target_, dialogue_, "the greeting");
  ++progress_.login_round_trips;
  if (packet->first() == my::reply::kErr) {
    co_return classify_origin_error(target_, packet->payload);
  }
  const auto greeting = my::parse_greeting(packet->payload);
  if (!greeting) {
    co_return plain_failure({target_.place() + " did not greet as a MySQL server does.",
                             "Check the port, and that the scheme fits the database.",
                             core::code::kOriginOther});
  }
  co_return learn(*greeting);
}

Trouble Attempt::learn(const my::Greeting& greeting) {
  constexpr auto kNeeded = capability::kProtocol41 | capability::kSecureConnection;
  if ((greeting.capabilities & kNeeded) != kNeeded) {
    return plain_failure({fmt::format("The server at {} is older than MySQL 4.1 ({}).",
                                      target_.place(), greeting.server_version),
                          "Use MySQL 5.7 or MariaDB 10.2, or newer.", core::code::kOriginOther});
  }
  session_.server_version = greeting.server_version;
  session_.connection_id = greeting.connection_id;
  session_.server_capabilities = greeting.capabilities;
  session_.charset = wishes_.charset;
  plugin_ = greeting.plugin;
  scramble_ = greeting.scramble;
  const std::string& database = wishes_.database ? *wishes_.database : target_.database;
  std::uint64_t wanted = wishes_.capabilities &
                         ~(capability::kSsl | capability::kCompress | capability::kZstdCompression);
  // The bit is MySQL's own sign: whoever sets it at a MariaDB gives up MariaDB's extensions.
  wanted |= greeting.capabilities & capability::kLongPassword;
  if (!database.empty()) wanted |= capability::kConnectWithDb;
  session_.capabilities = wanted & greeting.capabilities;
  return std::nullopt;
}

// SSLRequest and the handshake right behind it. What the greeting said in plain is not trusted any
// further than the password's methods allow: a scramble is of no use to who sits in between.
Task<Trouble> Attempt::start_tls() {
  progress_.stage = LoginStage::kTls;
  if ((session_.server_capabilities & capability::kSsl) == 0) {
    progress_.tls_refused = true;
    if (target_.mode == SslMode::kPrefer) co_return std::nullopt;
    co_return no_tls_failure(target_);
  }
  progress_.tls_started = true;
  session_.capabilities |= capability::kSsl;
  dialogue_.send(my::build_ssl_request({session_.capabilities, kMaxPacket, wishes_.charset}));
  const std::string error = co_await dialogue_.start_tls(target_.tls, target_.host);
  progress_.tls = watch_.lap();
  if (dialogue_.failure() == Dialogue::Failure::kTimeout) {
    co_return broken_failure(target_, dialogue_, "the TLS handshake");
  }
  if (!error.empty()) co_return handshake_failure(target_, error);
  progress_.tls_done = true;
  progress_.tls_info = dialogue_.stream().tls_info();
  co_return std::nullopt;
}

std::string Attempt::response(const OriginAuthentication::Opening& opening) const {
  my::HandshakeResponse response;
  response.capabilities = session_.capabilities;
  response.max_packet = kMaxPacket;
  response.charset = wishes_.charset;
  response.user = target_.user;
  response.auth_response = opening.response;
  response.database = wishes_.database ? *wishes_.database : target_.database;
  response.plugin = opening.plugin;
  for (const auto& [name, value] : wishes_.attributes) {
    response.attributes.emplace_back(name, value);
  }
  return my::build_handshake_response(response);
}

Task<Trouble> Attempt::authenticate() {
  progress_.stage = LoginStage::kLogin;
  OriginAuthentication authentication(target_, progress_.tls_done);
  dialogue_.send(response(authentication.begin(plugin_, scramble_)));
  ++progress_.login_round_trips;
  auto trouble = co_await converse(authentication);
  progress_.method = authentication.method();
  co_return trouble;
}

Task<Trouble> Attempt::converse(OriginAuthentication& authentication) {
  for (int count = 0; count < kMaxPackets; ++count) {
    const auto packet = co_await dialogue_.packet();
    if (!packet) co_return broken_failure(target_, dialogue_, "the login");
    if (packet->first() == my::reply::kErr) {
      co_return classify_origin_error(target_, packet->payload);
    }
    if (!packet->payload.empty() && packet->first() == my::reply::kOk) {
      co_return accept(packet->payload);
    }
    auto answer = authentication.answer(packet->payload);
    if (!answer) co_return plain_failure(std::move(answer.error()));
    if (!*answer) continue;
    dialogue_.send(**answer);
    ++progress_.login_round_trips;
  }
  co_return plain_failure(
      {"The origin's login never ended.", "Look into the origin's log.", core::code::kOriginOther});
}

Trouble Attempt::accept(my::Bytes payload) {
  const auto ok = my::parse_ok(payload, session_.capabilities);
  if (!ok) {
    return plain_failure({"The origin accepted the login with a packet that cannot be read.",
                          "Look into the origin's log.", core::code::kOriginOther});
  }
  session_.status = ok->status;
  session_.session_state = ok->session_state;
  return std::nullopt;
}

tl::unexpected<LoginFailure> Attempt::failed(LoginFailure failure) {
  failure.progress = progress_;
  return tl::unexpected(std::move(failure));
}

Task<LoginResult> Attempt::log_in(bool with_tls) {
  if (auto trouble = co_await connect()) co_return failed(std::move(*trouble));
  auto trouble = co_await greet();
  progress_.login = watch_.lap();
  if (trouble) co_return failed(std::move(*trouble));
  if (with_tls) {
    if (auto trouble = co_await start_tls()) co_return failed(std::move(*trouble));
  }
  trouble = co_await authenticate();
  progress_.login += watch_.lap();
  if (trouble) co_return failed(std::move(*trouble));
  session_.stream = dialogue_.take_stream();
  session_.progress = progress_;
  co_return std::move(session_);
}

class Run final : public OriginLogin {
 public:
  Run(net::Loop& loop, std::shared_ptr<const OriginTarget> target, LoginWishes wishes,
      std::string address)
      : loop_(loop),
        target_(std::move(target)),
        wishes_(std::move(wishes)),
        address_(std::move(address)),
        deadline_(Clock::now() + target_->connect_timeout) {}

  void start_login(std::function<void(LoginResult)> done) {
    login_.emplace(both_ways(), std::move(done));
    login_->start();
  }
  void start_kill(std::uint32_t connection_id, std::function<void()> done) {
    kill_.emplace(kill(connection_id), std::move(done));
    kill_->start();
  }

 private:
  /// With `prefer` a handshake that fails is tried once more without TLS.
  Task<LoginResult> both_ways() {
    LoginResult first = co_await attempt(target_->mode != SslMode::kDisable);
    if (first || target_->mode != SslMode::kPrefer) co_return first;
    const LoginProgress& progress = first.error().progress;
    if (!progress.tls_started || progress.tls_done) co_return first;
    LoginResult second = co_await attempt(false);
    co_return second ? std::move(second) : std::move(first);
  }

  Task<LoginResult> attempt(bool with_tls) {
    Attempt attempt(loop_, *target_, wishes_, address_, deadline_);
    co_return co_await attempt.log_in(with_tls);
  }

  Task<void> kill(std::uint32_t connection_id) {
    LoginResult session = co_await both_ways();
    if (!session) co_return;
    Dialogue dialogue(loop_, deadline_, std::move(session->stream));
    dialogue.send_command(my::Command::kQuery, fmt::format("KILL QUERY {}", connection_id));
    co_await dialogue.packet();
    if (dialogue.failure() != Dialogue::Failure::kNone) co_return;
    dialogue.send_command(my::Command::kQuit);
    auto stream = dialogue.take_stream();
    stream->finish();
    loop_.close_later(std::move(stream), std::chrono::milliseconds(1000));
  }

  net::Loop& loop_;
  const std::shared_ptr<const OriginTarget> target_;
  const LoginWishes wishes_;
  const std::string address_;
  const net::TimePoint deadline_;
  std::optional<net::Job<LoginResult>> login_;
  std::optional<net::Job<void>> kill_;
};

}  // namespace

core::Result<std::shared_ptr<const OriginTarget>> make_origin_target(
    const core::Config& config, const core::Certificates& certificates) {
  auto base = make_base_target(config, certificates);
  if (!base) return tl::unexpected(base.error());
  auto target = std::make_shared<OriginTarget>();
  static_cast<BaseTarget&>(*target) = std::move(*base);
  return target;
}

bool OriginSession::is_mariadb() const {
  return server_version.starts_with(kReplicationPrefix) ||
         server_version.find("MariaDB") != std::string::npos;
}

std::string_view OriginSession::version() const {
  std::string_view text = server_version;
  if (text.starts_with(kReplicationPrefix)) text.remove_prefix(kReplicationPrefix.size());
  return text;
}

unsigned OriginSession::version_number() const {
  std::string_view text = version();
  unsigned number = 0;
  for (int part = 0; part < 3; ++part) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    number = number * 100 + std::min(value, 99u);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (error == std::errc() && text.starts_with('.')) text.remove_prefix(1);
  }
  return number;
}

std::unique_ptr<OriginLogin> log_in(net::Loop& loop, std::shared_ptr<const OriginTarget> target,
                                    LoginWishes wishes, std::function<void(LoginResult)> done,
                                    std::string address) {
  auto run = std::make_unique<Run>(loop, std::move(target), std::move(wishes), std::move(address));
  run->start_login(std::move(done));
  return run;
}

std::unique_ptr<OriginLogin> send_kill_query(net::Loop& loop,
                                             std::shared_ptr<const OriginTarget> target,
                                             std::uint32_t connection_id,
                                             std::function<void()> done) {
  auto run = std::make_unique<Run>(loop, std::move(target), LoginWishes{}, std::string());
  run->start_kill(connection_id, std::move(done));
  return run;
}

}  // namespace hyperdrive::proxy::session::mysql
