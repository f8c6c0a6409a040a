#include "proxy/session/origin_verifier.hpp"

#include <fmt/format.h>
#include <netdb.h>

#include <algorithm>
#include <charconv>
#include <future>
#include <optional>
#include <thread>

#include "core/config/text.hpp"

namespace hyperdrive::proxy::session {

namespace code = core::code;

namespace {

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::microseconds;

constexpr int kSoonExpired = 14;  // days

Microseconds since(Clock::time_point start) {
  return std::chrono::duration_cast<Microseconds>(Clock::now() - start);
}

struct Resolved {
  int error = 0;
  std::vector<std::string> addresses;
};

Resolved resolve(const std::string& host) {
  Resolved resolved;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  const std::string name = bracketed ? host.substr(1, host.size() - 2) : host;
  resolved.error = getaddrinfo(name.c_str(), nullptr, &hints, &list);
  if (resolved.error != 0) return resolved;
  for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(each->ai_addr, each->ai_addrlen, text, sizeof text, nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      resolved.addresses.emplace_back(text);
    }
  }
  freeaddrinfo(list);
  return resolved;
}

/// getaddrinfo cannot be interrupted: it runs on a thread that is left behind when time is up.
std::optional<Resolved> resolve_within(const std::string& host, std::chrono::milliseconds limit) {
  auto promise = std::make_shared<std::promise<Resolved>>();
  auto future = promise->get_future();
  std::thread([promise, host] { promise->set_value(resolve(host)); }).detach();
  if (future.wait_for(limit) != std::future_status::ready) return std::nullopt;
  return future.get();
}

}  // namespace

void OriginVerifier::run() {
  if (!resolve_name()) return;
  next_address();
  loop_.run();
}

bool OriginVerifier::resolve_name() {
  const auto start = Clock::now();
  const auto resolved = resolve_within(target_.host, target_.connect_timeout);
  if (!resolved || resolved->error != 0 || resolved->addresses.empty()) {
    const std::string why = !resolved              ? "no answer in time"
                            : resolved->error != 0 ? gai_strerror(resolved->error)
                                                   : "it has no address";
    report_.fail(
        "dns", since(start),
        {fmt::format("The host name \"{}\" does not resolve: {}.", target_.host, why),
         "Check the spelling of the host name, and this machine's DNS.", code::kHostUnresolved});
    return false;
  }
  addresses_ = resolved->addresses;
  report_.succeed("dns", since(start), 0,
                  fmt::format("{} is {}", target_.host, fmt::join(addresses_, ", ")));
  report_.step("dns").addresses = addresses_;
  return true;
}

void OriginVerifier::next_address() { log_in_at(addresses_[tried_++]); }

void OriginVerifier::login_failed(const LoginFailure& failure) {
  if (!failure.progress.connected && tried_ < addresses_.size()) return next_address();
  report_failure(failure);
  end();
}

void OriginVerifier::login_succeeded(const LoginProgress& progress, std::string version) {
  report_.round_trip = progress.connect;
  report_.facts.version = std::move(version);
  report_reached(progress);
  report_login(progress);
  report_.succeed("database", Microseconds{0}, 0,
                  fmt::format("\"{}\", version {}", target_.database, report_.facts.version));
}

void OriginVerifier::report_login(const LoginProgress& progress) {
  report_.succeed("login", progress.login, progress.login_round_trips,
                  fmt::format("{} as \"{}\"", progress.method, target_.user));
  report_.step("login").method = progress.method;
}

int OriginVerifier::number(const std::optional<std::string>& text) {
  int value = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

void OriginVerifier::query_answered(const core::Result<Row>& answer, std::string_view sql,
                                    Microseconds took) {
  if (!answer) return report_.fail("query", took, answer.error());
  report_.succeed("query", took, 1, std::string(sql));
  report_.round_trip = std::min(report_.round_trip, took);
}

void OriginVerifier::close(std::unique_ptr<net::Stream> stream) {
  stream->finish();
  loop_.close_later(std::move(stream), std::chrono::milliseconds(1000));
}

bool OriginVerifier::wants_log() const {
  const core::Config& config = launch_.config;
  return config.local.invalidation == core::Invalidation::kReplication && !config.caching.disabled;
}

void OriginVerifier::log_refused(const core::Error& error) {
  core::Error refused = error;
  refused.code = code::kOriginOther;
  report_.fail("query", report_.step("query").took, refused);
}

void OriginVerifier::compare_limits() {
  const ServerFacts& facts = report_.facts;
  const int limit = launch_.config.origin_connection_limit;
  const int available = facts.max_connections - facts.reserved_connections;
  if (facts.max_connections == 0 || limit <= available) return;
  report_.warn(
      "query",
      fmt::format("the config may open {} connections, the origin allows {}", limit, available),
      "Lower --origin-connection-limit, or raise max_connections at the origin.");
}

void OriginVerifier::report_reached(const LoginProgress& progress) {
  if (!progress.connected) return;
  report_.succeed("tcp", progress.connect, 1,
                  fmt::format("connected to {} port {}", addresses_[tried_ - 1], target_.port));
  if (progress.tls_done) {
    report_tls(progress);
  } else if (progress.stage == LoginStage::kLogin) {
    const std::string why =
        progress.tls_refused ? "the origin does not speak TLS" : "the connection is not encrypted";
    report_.succeed("tls", progress.tls, progress.tls_round_trips, why);
    if (!core::is_loopback(target_.host)) {
      report_.warn("tls", why + "; passwords and data can be read on the way",
                   fmt::format("Switch TLS on at the origin and use --sslmode {} or {}.",
                               target_.word(core::SslMode::kRequire),
                               target_.word(core::SslMode::kVerifyFull)));
    }
  }
}

void OriginVerifier::report_tls(const LoginProgress& progress) {
  const net::TlsInfo& info = progress.tls_info;
  const bool tls13 = info.version == "TLSv1.3";
  report_.succeed("tls", progress.tls, progress.tls_round_trips + (tls13 ? 1 : 2),
                  fmt::format("{}, {}", info.version, info.cipher));
  VerifyStep& step = report_.step("tls");
  step.tls = info;
  step.verified = target_.verifies_certificate;
  const auto left = info.not_after - std::chrono::system_clock::now();
  const auto days = std::chrono::floor<std::chrono::days>(left).count();
  if (days < kSoonExpired && !info.subject.empty()) {
    report_.warn(
        "tls",
        days < 0 ? fmt::format("{}; the origin's certificate has expired", step.message)
                 : fmt::format("{}; the origin's certificate ends in {} days", step.message, days),
        "Renew the origin's certificate.");
  }
}

void OriginVerifier::report_failure(const LoginFailure& failure) {
  const LoginProgress& progress = failure.progress;
  report_reached(progress);
  std::string_view step = "login";
  Microseconds took = progress.login;
  if (!progress.connected) {
    step = failure.error.code == code::kHostUnresolved ? "dns" : "tcp";
    took = progress.connect;
  } else if (progress.stage == LoginStage::kTls) {
    step = "tls";
    took = progress.tls;
  } else if (failure.error.code == code::kNoSuchDatabase) {
    report_login(progress);
    step = "database";
    took = Microseconds{0};
  }
  report_.fail(step, took, failure.error);
}

}  // namespace hyperdrive::proxy::session
