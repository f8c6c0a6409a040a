// Client: from the first byte to the first ReadyForQuery.
#include "proxy/session/postgres/login.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "proxy/session/postgres/client.hpp"
#include "proxy/session/postgres/origin_login.hpp"
#include "proxy/session/postgres/setting_text.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using pg::Authentication;
using pg::StartupRead;

namespace {

/// As Postgres reads one: any beginning that is no other's. Nothing: it is none.
std::optional<bool> boolean_of(std::string_view value) {
  static constexpr std::pair<std::string_view, bool> kWords[] = {
      {"true", true}, {"false", false}, {"yes", true}, {"no", false},
      {"on", true},   {"off", false},   {"1", true},   {"0", false}};
  if (value.empty() || value == "o" || value == "O") return std::nullopt;
  for (const auto& [word, meant] : kWords) {
    const bool begins = value.size() <= word.size() &&
                        std::equal(value.begin(), value.end(), word.begin(), [](char a, char b) {
                          return (a >= 'A' && a <= 'Z' ? a | 0x20 : a) == b;
                        });
    if (begins) return meant;
  }
  return std::nullopt;
}

}  // namespace

std::size_t Client::startup(net::Bytes data) {
  const StartupRead read = pg::read_startup(data);
  switch (read.kind) {
    case StartupRead::Kind::kNeedMore:
      return 0;
    case StartupRead::Kind::kDirectTls:
      direct_tls(data);
      return data.size();
    case StartupRead::Kind::kSslRequest:
    case StartupRead::Kind::kGssEncRequest:
      return encryption_request(read, data);
    case StartupRead::Kind::kCancelRequest:
      cancel_request(read.cancel);
      return data.size();
    case StartupRead::Kind::kUnsupportedVersion:
      unsupported(read.startup.version);
      return data.size();
    case StartupRead::Kind::kStartup:
      begin_login(read);
      return read.size;
    case StartupRead::Kind::kBadLayout:
      send_error("FATAL", pg::sqlstate::kProtocolViolation,
                 "invalid startup packet layout: expected terminator as last byte");
      break;
    case StartupRead::Kind::kNonsense:
      break;  // whoever that is speaks another language
  }
  close_politely();
  return data.size();
}

void Client::unsupported(pg::Version version) {
  const std::string text = "unsupported frontend protocol " + std::to_string(version.major) + "." +
                           std::to_string(version.minor) + ": server supports 3.0 to 3.2";
  if (version.major == 1 || version.major == 2) {
    // Such a client knows no fields.
    stream_->write(static_cast<char>(pg::Backend::kErrorResponse) + ("FATAL:  " + text + '\n') +
                   '\0');
    worker_.telemetry.add(Counter::kErrors);
  } else {
    send_error("FATAL", pg::sqlstate::kFeatureNotSupported, text);
  }
  close_politely();
}

/// Once, and after a refusal the other one, as with Postgres; not within TLS. Whatever follows such
/// a request in the clear could have been put there by a stranger.
std::size_t Client::encryption_request(const StartupRead& read, net::Bytes data) {
  const bool asks_tls = read.kind == StartupRead::Kind::kSslRequest;
  const Asked asks = asks_tls ? Asked::kTls : Asked::kGss;
  if (stream_->is_tls() || asked_ == asks) {
    unsupported(read.startup.version);
    return data.size();
  }
  asked_ = asks;
  const bool tls = asks_tls && worker_.options->client_tls;
  const char answer = tls ? pg::kEncryptionAccepted : pg::kEncryptionRefused;
  if (!tls || data.size() == read.size) stream_->write(net::Bytes(&answer, 1));
  if (data.size() > read.size) {
    std::string out;
    pg::append_error_response(
        out, {"FATAL", pg::sqlstate::kProtocolViolation,
              asks_tls ? "received unencrypted data after SSL request"
                       : "received unencrypted data after GSSAPI encryption request",
              "This could be either a client-software bug or evidence of an attempted "
              "man-in-the-middle attack."});
    stream_->write(out);
    worker_.telemetry.add(Counter::kErrors);
    close_politely();
    return data.size();
  }
  if (tls) {
    phase_ = Phase::kEncrypting;
    net::start_tls_server(*stream_, worker_.options->client_tls, "", {}, [this](std::string error) {
      if (!error.empty()) return leave();
      phase_ = Phase::kStartup;
    });
  }
  return read.size;
}

void Client::direct_tls(net::Bytes data) {
  if (!worker_.options->client_tls || stream_->is_tls()) {
    close_politely();
    return;
  }
  phase_ = Phase::kEncrypting;
  net::start_tls_server(*stream_, worker_.options->client_tls, std::string(pg::kAlpn), data,
                        [this](std::string error) {
                          // Without the name a stranger could have led another protocol's client
                          // here (ALPACA); Postgres hangs up, too.
                          if (!error.empty() || stream_->tls_info().alpn.empty()) return leave();
                          phase_ = Phase::kStartup;
                        });
}

void Client::begin_login(const StartupRead& read) {
  const auto& options = *worker_.options;
  const pg::StartupParameters& startup = read.startup;
  const auto refuse = [&](std::string_view sqlstate, std::string_view message,
                          std::string_view hint = {}) {
    send_error("FATAL", sqlstate, message, hint);
    close_politely();
  };
  if (const auto* asked = startup.find("replication")) {
    const auto wanted = *asked == "database" ? true : boolean_of(*asked);
    if (!wanted) {
      return refuse(pg::sqlstate::kInvalidParameterValue,
                    "invalid value for parameter \"replication\": \"" + std::string(*asked) + '"',
                    "Valid values are: \"false\", 0, \"true\", 1, \"database\".");
    }
    if (*wanted) {
      return refuse(pg::sqlstate::kFeatureNotSupported,
                    "replication connections are not supported by the proxy",
                    "Connect to the origin directly.");
    }
  }
  if (worker_.draining()) {
    return refuse(pg::sqlstate::kCannotConnectNow, "the database system is shutting down");
  }
  const auto limit = static_cast<std::uint64_t>(options.config.local.max_clients);
  if (worker_.service.telemetry.clients.load(std::memory_order_relaxed) > limit) {
    worker_.telemetry.add(Counter::kClientsRefused);
    return refuse(pg::sqlstate::kTooManyConnections, "sorry, too many clients already",
                  "The proxy takes " + std::to_string(limit) + " clients; see --max-clients.");
  }
  if (!options.config.local.listen.empty() && options.client_tls && !stream_->is_tls()) {
    return refuse(pg::sqlstate::kInvalidAuthorization,
                  "the proxy takes only TLS connections on this address",
                  "Add sslmode=require to the connection string.");
  }
  if (startup.get("user").empty()) {
    return refuse(pg::sqlstate::kInvalidAuthorization,
                  "no PostgreSQL user name specified in startup packet");
  }
  auto settings = startup_settings(startup);
  if (!settings) {
    return refuse(pg::sqlstate::kSyntaxError, settings.error().message, settings.error().hint);
  }
  login_ = std::make_unique<Login>();
  login_->user = startup.get("user");
  login_->database = startup.get("database");
  if (login_->database.empty()) login_->database = login_->user;
  login_->application_name = startup.get("application_name");
  startup_ = settings_ = snapshot_ = *settings;
  const pg::Negotiation negotiation = pg::negotiate(startup);
  login_->version = negotiation.version;
  if (negotiation.tell_client) {
    std::string message;
    pg::append_negotiate_protocol_version(message, negotiation.version, startup.protocol_options);
    stream_->write(message);
  }
  offer_sasl();
}

void Client::offer_sasl() {
  const Options& options = *worker_.options;
  const bool known = login_->user == options.config.local.local_user;
  if (!known) {
    login_->mock =
        pg::ScramVerifier::mock(login_->user, worker_.service.mock_secret, options.verifier.rounds);
  } else {
    login_->mock = options.verifier;
  }
  // Of the certificate this stream was encrypted with: a reload may have brought another since.
  const std::string binding = stream_->tls_server_end_point();
  login_->scram = std::make_unique<pg::ScramServer>(login_->mock, binding);
  std::string message;
  if (binding.empty()) {
    pg::append_authentication_sasl(message, {pg::kScram});
  } else {
    pg::append_authentication_sasl(message, {pg::kScramPlus, pg::kScram});
  }
  stream_->write(message);
  phase_ = Phase::kSasl;
}

std::size_t Client::sasl(net::Bytes data) {
  std::size_t used = 0;
  while (phase_ == Phase::kSasl) {
    const auto [status, header, body] = pg::read_message(data.substr(used), pg::kMaxAuthMessage);
    if (status == pg::ReadStatus::kNeedMore) return used;
    if (!header.is(pg::Frontend::kPassword)) {
      protocol_violation("expected SASL response, got message type " +
                         std::to_string(static_cast<unsigned char>(header.type)));
      return data.size();
    }
    if (status != pg::ReadStatus::kOk) {
      wrong_password();  // so Postgres calls it
      return data.size();
    }
    used += header.size();
    sasl_step(body);
  }
  // Messages that a client sent without waiting for its login are read in the next phase.
  if (phase_ == Phase::kReady && used < data.size()) used += relay(data.substr(used));
  return phase_ == Phase::kGone ? data.size() : used;
}

void Client::sasl_step(net::Bytes body) {
  const auto fail = [&](const pg::ScramFailure& failure) {
    if (failure.sqlstate == pg::sqlstate::kInvalidPassword) return wrong_password();
    std::string out;
    pg::append_error_response(out,
                              {"FATAL", failure.sqlstate, failure.message, failure.detail, {}});
    stream_->write(out);
    worker_.telemetry.add(Counter::kLoginFailures);
    close_politely();
  };
  std::string message;
  if (!login_->started) {
    if (login_->mechanism.empty()) {
      const auto initial = pg::parse_sasl_initial_response(body);
      if (!initial) return protocol_violation("invalid message format");
      login_->mechanism = initial->mechanism;
      if (!initial->data) {
        // Its first message comes when it has been asked for.
        pg::append_authentication(message, Authentication::kSaslContinue, {});
        stream_->write(message);
        return;
      }
      body = *initial->data;
    }
    login_->started = true;
    const auto answer = login_->scram->first(login_->mechanism, body);
    if (!answer) return fail(answer.error());
    pg::append_authentication(message, Authentication::kSaslContinue, *answer);
    stream_->write(message);
    return;
  }
  const auto answer = login_->scram->final(body);
  if (!answer) return fail(answer.error());
  pg::append_authentication(message, Authentication::kSaslFinal, *answer);
  pg::append_authentication(message, Authentication::kOk);
  stream_->write(message);
  authenticated();
}

void Client::wrong_password() {
  worker_.telemetry.add(Counter::kLoginFailures);
  send_error("FATAL", pg::sqlstate::kInvalidPassword,
             "password authentication failed for user \"" + login_->user + "\"",
             "The proxy has a user and a password of its own, not the database's: `hyperdrive url "
             "<config>` prints them.");
  close_politely();
}

void Client::authenticated() {
  const core::Config& config = worker_.options->config;
  if (login_->database != config.origin.database) {
    send_error("FATAL", pg::sqlstate::kUndefinedDatabase,
               "database \"" + login_->database + "\" does not exist",
               "This proxy serves the database \"" + config.origin.database + "\".");
    return close_politely();
  }
  if (const auto known = worker_.service.profiles.find(without(startup_, "application_name"))) {
    told_ = known->reports;
    login_->profile_known = true;
  }
  phase_ = Phase::kProfile;
  since_ = worker_.loop.now();
  features_pin() ? seek_home() : seek_profile();
}

void Client::seek_profile() {
  login_->seeking_home = false;
  if (login_->profile_known) return welcome();
  if (auto origin = worker_.pool().acquire(*this)) {
    arrived(std::unique_ptr<Origin>(static_cast<Origin*>(origin.release())));
  }
}

/// Policy `pin`: as long as the pool has one for everybody, a session has a connection that is
/// given to others last. What it is told at login then holds: its process id is the one that
/// pg_backend_pid() says, that others see in notifications and may cancel or terminate.
void Client::seek_home() {
  login_->seeking_home = true;
  constexpr int kTries = 4;
  if (login_->homes_tried++ >= kTries) return seek_profile();
  if (auto origin = worker_.pool().acquire_unclaimed(*this)) {
    return arrived(std::unique_ptr<Origin>(static_cast<Origin*>(origin.release())));
  }
  if (!waiting()) seek_profile();
}

/// A connection has come for the login.
void Client::arrived(std::unique_ptr<Origin> origin) {
  if (login_->seeking_home && pool::Pool::is_claimed(*origin)) {
    worker_.pool().release(std::move(origin));
    return seek_home();
  }
  if (login_->seeking_home) {
    pool::Pool::claim(*origin, *this);
    login_->process_id = origin->identity().process_id;
    if (login_->profile_known) {
      worker_.pool().release(std::move(origin));
      return welcome();
    }
  }
  attach(std::move(origin));
  learn_profile();
}

/// The connection that lent this session its process id was terminated by somebody who meant the
/// session, while it had nothing to do there.
void Client::home_terminated(const std::string& error) {
  if (phase_ != Phase::kReady || lease_ || waiting()) return;
  stream_->write(error);
  close_politely();
}

/// The connection is here; if its settings are on their way, settings_applied says when they hold.
void Client::learn_profile() {
  if (leaving_) return;
  if (!lease_->in_flight().empty()) return;
  told_ = lease_->reports();
  worker_.service.profiles.learn(without(startup_, "application_name"), told_);
  detach_origin(false);
  welcome();
}

void Client::welcome() {
  const std::string* says = told_ ? told_->find("server_version") : nullptr;
  const std::string version = says != nullptr ? *says : "";
  // The profile may have been learned by a client of another name.
  const std::string* named = startup_ ? startup_->find("application_name") : nullptr;
  const std::string& ours = worker_.options->target->application_name;
  told_ = with(told_, "application_name", cleaned_name(named != nullptr ? *named : ours, version));
  login_->application_name = cleaned_name(login_->application_name, version);
  told_at_login_ = told_;
  const bool longer = login_->version >= pg::kVersion32;
  const CancelKey key = worker_.service.cancel_keys.issue(
      worker_.index, longer ? 32 : pg::kShortCancelKey, login_->process_id);
  process_id_ = key.process_id;
  worker_.name(process_id_, *this);
  std::string& out = worker_.scratch;
  out.clear();
  if (told_) {
    for (const auto& [name, value] : told_->pairs()) pg::append_parameter_status(out, name, value);
  }
  pg::append_backend_key_data(out, process_id_, key.key);
  pg::append_ready_for_query(out, pg::TransactionStatus::kIdle);
  stream_->write(out);
  out.clear();
  worker_.telemetry.add(Counter::kClientLogins);
  phase_ = Phase::kReady;
  if (worker_.service.telemetry.listening()) {
    SessionEvent event;
    event.at = std::chrono::system_clock::now();
    event.client = process_id_;
    event.user = login_->user;
    event.application_name = login_->application_name;
    event.clients = worker_.service.telemetry.clients.load(std::memory_order_relaxed);
    worker_.service.telemetry.sink()->publish(std::move(event));
  }
  login_.reset();
  stream_->resume_reading();
}

void Client::cancel_request(const pg::CancelRequest& request) {
  if (request.key.empty()) return close_politely();
  phase_ = Phase::kCancel;
  Service& service = worker_.service;
  // The asker hears nothing but the end of its connection, when the cancel has been passed on.
  const std::uint64_t ticket = worker_.ask(*this);
  auto done = [&asking = worker_, ticket] {
    asking.loop.post([&asking, ticket] { asking.answered(ticket); });
  };
  if (service.cancel(request.process_id, request.key, std::move(done))) return;
  worker_.telemetry.add(Counter::kCancelsDropped);
  service.pass_cancel(request.process_id, request.key);
  worker_.unask(*this);
  close_politely();
}

}  // namespace hyperdrive::proxy::session::postgres
