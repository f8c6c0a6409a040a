#include "proxy/session/postgres/origin_login.hpp"

#include <utility>

#include "proxy/net/task.hpp"
#include "proxy/session/postgres/dialogue.hpp"
#include "proxy/session/postgres/origin_auth.hpp"
#include "proxy/wire/postgres/build.hpp"
#include "proxy/wire/postgres/sqlstate.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using core::SslMode;
using net::Task;

namespace {

using Clock = std::chrono::steady_clock;
/// A step's failure, or nothing.
using Trouble = std::optional<LoginFailure>;

/// A server reports some 15 settings; this many messages are no login.
constexpr int kMaxMessages = 1000;

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
  Attempt(net::Loop& loop, const OriginTarget& target, const std::string& address,
          net::TimePoint deadline)
      : target_(target), address_(address), dialogue_(loop, deadline) {}

  Task<LoginResult> log_in(const StartupParameters& extra, bool with_tls);
  Task<void> cancel(bool with_tls, std::uint32_t process_id, const std::string& key);

 private:
  Task<Trouble> connect();
  Task<Trouble> start_tls();
  Task<Trouble> authenticate(const StartupParameters& extra);
  Task<Trouble> until_ready();
  Trouble learn(const Dialogue::Message& message, bool& ready);
  void send(const std::string& bytes);
  std::string startup_packet(const StartupParameters& extra) const;
  /// With how far it came.
  tl::unexpected<LoginFailure> failed(LoginFailure failure);

  const OriginTarget& target_;
  const std::string& address_;
  Dialogue dialogue_;
  Stopwatch watch_;
  LoginProgress progress_;
  OriginSession session_;
};

Task<Trouble> Attempt::connect() {
  const std::string& host = address_.empty() ? target_.host : address_;
  const auto error = co_await dialogue_.connect(host, target_.port);
  progress_.connect = watch_.lap();
  if (error) co_return connect_failure(target_, *error);
  progress_.connected = true;
  co_return std::nullopt;
}

// SSLRequest, one byte of answer, handshake. Nothing that follows the byte in plain is ever read:
// the TLS layer refuses bytes that arrived before the handshake (CVE-2021-23222).
Task<Trouble> Attempt::start_tls() {
  std::string request;
  pg::append_ssl_request(request);
  progress_.stage = LoginStage::kTls;
  dialogue_.write(request);
  const auto answer = co_await dialogue_.byte();
  if (!answer) co_return broken_failure(target_, dialogue_, "answering the TLS request");
  progress_.tls_round_trips = 1;
  if (*answer == pg::kEncryptionRefused) {
    progress_.tls_refused = true;
    progress_.tls = watch_.lap();
    // With `prefer` the same connection goes on in plain.
    if (target_.mode == SslMode::kPrefer) co_return std::nullopt;
    co_return no_tls_failure(target_);
  }
  if (*answer != pg::kEncryptionAccepted) {
    co_return plain_failure(
        {target_.host + " answered the TLS request with something that is not of the Postgres "
                        "protocol.",
         "Check the port, and that the scheme fits the database.", core::code::kOriginOther});
  }
  progress_.tls_started = true;
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

std::string Attempt::startup_packet(const StartupParameters& extra) const {
  std::vector<pg::NameValue> parameters = {{"user", target_.user}, {"database", target_.database}};
  bool named = false;
  for (const auto& [name, value] : extra) {
    named = named || name == "application_name";
    parameters.emplace_back(name, value);
  }
  if (!named) parameters.emplace_back("application_name", target_.application_name);
  std::string packet;
  pg::append_startup(packet, pg::kVersion30, parameters);
  return packet;
}

void Attempt::send(const std::string& bytes) {
  if (bytes.empty()) return;
  dialogue_.write(bytes);
  ++progress_.login_round_trips;
}

Task<Trouble> Attempt::authenticate(const StartupParameters& extra) {
  progress_.stage = LoginStage::kLogin;
  net::Stream& stream = dialogue_.stream();
  OriginAuthentication authentication(target_, stream.tls_server_end_point(), stream.is_tls());
  send(startup_packet(extra));
  for (int count = 0; !authentication.done(); ++count) {
    const auto message = co_await dialogue_.message();
    if (!message) co_return broken_failure(target_, dialogue_, "the login");
    if (message->header.is(pg::Backend::kErrorResponse)) {
      co_return classify_origin_error(target_, message->body);
    }
    if (message->header.is(pg::Backend::kNoticeResponse) ||
        message->header.is(pg::Backend::kNegotiateProtocolVersion)) {
      if (count < kMaxMessages) continue;
    }
    const auto request = message->header.is(pg::Backend::kAuthentication)
                             ? pg::parse_authentication(message->body)
                             : std::nullopt;
    if (!request || count >= kMaxMessages) {
      co_return plain_failure({"The origin sent a message that does not belong into a login.",
                               "Check that a Postgres server answers on that port.",
                               core::code::kOriginOther});
    }
    auto answer = authentication.answer(*request);
    progress_.method = authentication.method();
    if (!answer) co_return plain_failure(std::move(answer.error()));
    send(*answer);
  }
  co_return std::nullopt;
}

Trouble Attempt::learn(const Dialogue::Message& message, bool& ready) {
  switch (static_cast<pg::Backend>(message.header.type)) {
    case pg::Backend::kErrorResponse:
      return classify_origin_error(target_, message.body);
    case pg::Backend::kNoticeResponse:
      return std::nullopt;
    case pg::Backend::kParameterStatus:
      if (const auto status = pg::parse_parameter_status(message.body)) {
        session_.parameters.emplace_back(status->name, status->value);
        return std::nullopt;
      }
      break;
    case pg::Backend::kBackendKeyData:
      if (const auto key = pg::parse_backend_key_data(message.body)) {
        session_.process_id = key->process_id;
        session_.cancel_key = key->key;
        return std::nullopt;
      }
      break;
    case pg::Backend::kReadyForQuery:
      ready = pg::parse_ready_for_query(message.body) == pg::TransactionStatus::kIdle;
      if (ready) return std::nullopt;
      break;
    default:
      break;
  }
  return plain_failure({"The origin sent a message that does not belong behind a login.",
                        "Look into the origin's log.", core::code::kOriginOther});
}

Task<Trouble> Attempt::until_ready() {
  for (int count = 0; count < kMaxMessages; ++count) {
    const auto message = co_await dialogue_.message();
    if (!message) co_return broken_failure(target_, dialogue_, "the start of the session");
    bool ready = false;
    if (auto trouble = learn(*message, ready)) co_return trouble;
    if (ready) co_return std::nullopt;
  }
  co_return plain_failure({"The origin's session never became ready.",
                           "Look into the origin's log.", core::code::kOriginOther});
}

tl::unexpected<LoginFailure> Attempt::failed(LoginFailure failure) {
  failure.progress = progress_;
  return tl::unexpected(std::move(failure));
}

Task<LoginResult> Attempt::log_in(const StartupParameters& extra, bool with_tls) {
  if (auto trouble = co_await connect()) co_return failed(std::move(*trouble));
  if (with_tls) {
    if (auto trouble = co_await start_tls()) co_return failed(std::move(*trouble));
  }
  auto trouble = co_await authenticate(extra);
  if (!trouble) trouble = co_await until_ready();
  progress_.login = watch_.lap();
  if (trouble) co_return failed(std::move(*trouble));
  session_.stream = dialogue_.take_stream();
  session_.progress = progress_;
  co_return std::move(session_);
}

Task<void> Attempt::cancel(bool with_tls, std::uint32_t process_id, const std::string& key) {
  if (co_await connect()) co_return;
  if (with_tls) {
    const auto trouble = co_await start_tls();
    if (trouble || !progress_.tls_done) co_return;
  }
  std::string request;
  pg::append_cancel_request(request, process_id, key);
  dialogue_.write(request);
  // The origin says nothing; it closes when the signal is sent.
  co_await dialogue_.byte();
}

/// `prefer`: whether what failed with TLS may work without; `allow`: the reverse. As libpq, except
/// that a wrong password is not tried twice.
bool worth_another_try(const OriginTarget& target, const LoginFailure& failure) {
  const bool rejected = failure.sqlstate == pg::sqlstate::kInvalidAuthorization;
  if (target.mode == SslMode::kAllow) return rejected;
  if (target.mode != SslMode::kPrefer) return false;
  const bool handshake_failed = failure.progress.tls_started && !failure.progress.tls_done;
  return handshake_failed || (rejected && failure.progress.tls_done);
}

class Run final : public OriginLogin {
 public:
  Run(net::Loop& loop, std::shared_ptr<const OriginTarget> target, std::string address)
      : loop_(loop),
        target_(std::move(target)),
        address_(std::move(address)),
        deadline_(Clock::now() + target_->connect_timeout) {}

  void start_login(StartupParameters extra, std::function<void(LoginResult)> done) {
    extra_ = std::move(extra);
    login_.emplace(both_ways(), std::move(done));
    login_->start();
  }
  void start_cancel(bool with_tls, std::uint32_t process_id, std::string key,
                    std::function<void()> done) {
    key_ = std::move(key);
    cancel_.emplace(cancel(with_tls, process_id), std::move(done));
    cancel_->start();
  }

 private:
  Task<LoginResult> both_ways() {
    const bool tls_first = target_->mode != SslMode::kDisable && target_->mode != SslMode::kAllow;
    LoginResult first = co_await attempt(tls_first);
    if (first || !worth_another_try(*target_, first.error())) co_return first;
    LoginResult second = co_await attempt(!tls_first);
    if (second) co_return second;
    // Which of two failures tells more? Not a rejection that only says "not this way either".
    const bool rejected = second.error().sqlstate == pg::sqlstate::kInvalidAuthorization;
    const bool no_tls = second.error().error.code == core::code::kNoTls;
    const bool first_tells_more = target_->mode == SslMode::kPrefer ? rejected : no_tls;
    co_return first_tells_more ? std::move(first) : std::move(second);
  }

  Task<LoginResult> attempt(bool with_tls) {
    Attempt attempt(loop_, *target_, address_, deadline_);
    co_return co_await attempt.log_in(extra_, with_tls);
  }

  Task<void> cancel(bool with_tls, std::uint32_t process_id) {
    Attempt attempt(loop_, *target_, address_, deadline_);
    co_await attempt.cancel(with_tls, process_id, key_);
  }

  net::Loop& loop_;
  const std::shared_ptr<const OriginTarget> target_;
  const std::string address_;
  const net::TimePoint deadline_;
  StartupParameters extra_;
  std::string key_;
  std::optional<net::Job<LoginResult>> login_;
  std::optional<net::Job<void>> cancel_;
};

}  // namespace

std::string OriginSession::parameter(std::string_view name) const {
  for (const auto& [key, value] : parameters) {
    if (key == name) return value;
  }
  return {};
}

std::unique_ptr<OriginLogin> log_in(net::Loop& loop, std::shared_ptr<const OriginTarget> target,
                                    StartupParameters extra, std::function<void(LoginResult)> done,
                                    std::string address) {
  auto run = std::make_unique<Run>(loop, std::move(target), std::move(address));
  run->start_login(std::move(extra), std::move(done));
  return run;
}

std::unique_ptr<OriginLogin> send_cancel(net::Loop& loop,
                                         std::shared_ptr<const OriginTarget> target,
                                         std::string address, bool with_tls,
                                         std::uint32_t process_id, std::string cancel_key,
                                         std::function<void()> done) {
  auto run = std::make_unique<Run>(loop, std::move(target), std::move(address));
  run->start_cancel(with_tls, process_id, std::move(cancel_key), std::move(done));
  return run;
}

}  // namespace hyperdrive::proxy::session::postgres
