#include "proxy/session/postgres/verify.hpp"

#include <fmt/format.h>
#include <netdb.h>

#include <charconv>
#include <future>
#include <thread>

#include "core/config/text.hpp"
#include "proxy/net/task.hpp"
#include "proxy/session/postgres/dialogue.hpp"
#include "proxy/session/postgres/origin_login.hpp"
#include "proxy/session/postgres/verify_report.hpp"
#include "proxy/wire/postgres/build.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
namespace code = core::code;
using net::Task;

namespace {

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::microseconds;

constexpr int kSoonExpired = 14;  // days
constexpr std::string_view kTestQuery = "SELECT 1";
constexpr std::string_view kFactsQuery =
    "SELECT current_setting('server_version_num'), current_setting('max_connections'), "
    "current_setting('superuser_reserved_connections'), current_setting('wal_level'), "
    "pg_is_in_recovery(), current_setting('is_superuser')";

Microseconds since(Clock::time_point start) {
  return std::chrono::duration_cast<Microseconds>(Clock::now() - start);
}

// --- name ---

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

// --- query ---

using Row = std::vector<std::optional<std::string>>;

/// The first row of a simple query, or what went wrong.
Task<core::Result<Row>> ask(Dialogue& dialogue, std::string_view sql) {
  std::string query;
  pg::append_query(query, sql);
  dialogue.write(query);
  Row row;
  std::optional<core::Error> error;
  for (;;) {
    const auto message = co_await dialogue.message();
    if (!message) {
      co_return core::fail(
          "The origin ended the connection during the query: " + dialogue.failure_words() + ".",
          "Look into the origin's log.", code::kTestQueryFailed);
    }
    if (message->header.is(pg::Backend::kReadyForQuery)) break;
    if (message->header.is(pg::Backend::kErrorResponse)) {
      const auto fields = pg::parse_error_response(message->body);
      const std::string words = fields ? std::string(fields->message) : "an unreadable error";
      error = core::Error{fmt::format("The test query \"{}\" failed: {}.", sql, words),
                          "Check that the user may connect to this database and read from it.",
                          code::kTestQueryFailed};
    }
    if (!message->header.is(pg::Backend::kDataRow) || !row.empty()) continue;
    if (const auto values = pg::parse_data_row(message->body)) {
      for (const auto& value : *values) {
        row.push_back(value ? std::optional<std::string>(*value) : std::nullopt);
      }
    }
  }
  if (error) co_return tl::unexpected(std::move(*error));
  co_return row;
}

int number(const std::optional<std::string>& text) {
  int value = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

// --- the steps ---

class Verifier {
 public:
  Verifier(const core::Launch& launch, std::shared_ptr<const OriginTarget> target, net::Loop& loop,
           VerifyReport& report)
      : launch_(launch), target_(std::move(target)), loop_(loop), report_(report) {}

  void run() {
    if (!resolve_name()) return;
    next_address();
    loop_.run();
  }

 private:
  bool resolve_name() {
    const auto start = Clock::now();
    const auto resolved = resolve_within(target_->host, target_->connect_timeout);
    if (!resolved || resolved->error != 0 || resolved->addresses.empty()) {
      const std::string why = !resolved              ? "no answer in time"
                              : resolved->error != 0 ? gai_strerror(resolved->error)
                                                     : "it has no address";
      report_.fail(
          "dns", since(start),
          {fmt::format("The host name \"{}\" does not resolve: {}.", target_->host, why),
           "Check the spelling of the host name, and this machine's DNS.", code::kHostUnresolved});
      return false;
    }
    addresses_ = resolved->addresses;
    report_.succeed("dns", since(start), 0,
                    fmt::format("{} is {}", target_->host, fmt::join(addresses_, ", ")));
    report_.step("dns").addresses = addresses_;
    return true;
  }

  void next_address() {
    start_ = Clock::now();
    login_ = log_in(
        loop_, target_, {}, [this](LoginResult result) { logged_in(std::move(result)); },
        addresses_[tried_++]);
  }

  void logged_in(LoginResult result) {
    if (!result && !result.error().progress.connected && tried_ < addresses_.size()) {
      return next_address();
    }
    if (!result) {
      report_failure(result.error());
      return loop_.stop();
    }
    OriginSession& session = *result;
    report_.round_trip = session.progress.connect;
    report_.facts.version = session.parameter("server_version");
    report_reached(session.progress);
    const auto& progress = session.progress;
    report_.succeed("login", progress.login, progress.login_round_trips,
                    fmt::format("{} as \"{}\"", progress.method, target_->user));
    report_.step("login").method = progress.method;
    report_.succeed("database", Microseconds{0}, 0,
                    fmt::format("\"{}\", version {}", target_->database, report_.facts.version));
    query_.emplace(query(std::move(session.stream)), [this] { loop_.stop(); });
    query_->start();
  }

  /// The steps that were passed on the way to a login.
  void report_reached(const LoginProgress& progress) {
    if (!progress.connected) return;
    report_.succeed("tcp", progress.connect, 1,
                    fmt::format("connected to {} port {}", addresses_[tried_ - 1], target_->port));
    const bool begun = progress.login_round_trips > 0;
    if (progress.tls_done) {
      report_tls(progress);
    } else if (begun) {
      const std::string why = progress.tls_refused ? "the origin does not speak TLS"
                                                   : "the connection is not encrypted";
      report_.succeed("tls", progress.tls, progress.tls_refused ? 1 : 0, why);
      if (!core::is_loopback(target_->host)) {
        report_.warn("tls", why + "; passwords and data can be read on the way",
                     "Switch ssl on at the origin and use --sslmode require or verify-full.");
      }
    }
  }

  void report_tls(const LoginProgress& progress) {
    const net::TlsInfo& info = progress.tls_info;
    const bool tls13 = info.version == "TLSv1.3";
    report_.succeed("tls", progress.tls, tls13 ? 2 : 3,
                    fmt::format("{}, {}", info.version, info.cipher));
    VerifyStep& step = report_.step("tls");
    step.tls = info;
    step.verified = target_->verifies_certificate;
    const auto left = info.not_after - std::chrono::system_clock::now();
    const auto days = std::chrono::floor<std::chrono::days>(left).count();
    if (days < kSoonExpired && !info.subject.empty()) {
      report_.warn("tls",
                   days < 0 ? fmt::format("{}; the origin's certificate has expired", step.message)
                            : fmt::format("{}; the origin's certificate ends in {} days",
                                          step.message, days),
                   "Renew the origin's certificate.");
    }
  }

  void report_failure(const LoginFailure& failure) {
    const LoginProgress& progress = failure.progress;
    report_reached(progress);
    std::string_view step = "login";
    Microseconds took = progress.login;
    if (!progress.connected) {
      step = failure.error.code == code::kHostUnresolved ? "dns" : "tcp";
      took = progress.connect;
    } else if (progress.login_round_trips == 0) {
      step = "tls";
      took = progress.tls;
    } else if (failure.error.code == code::kNoSuchDatabase) {
      report_.succeed("login", progress.login, progress.login_round_trips,
                      fmt::format("{} as \"{}\"", progress.method, target_->user));
      report_.step("login").method = progress.method;
      step = "database";
      took = Microseconds{0};
    }
    report_.fail(step, took, failure.error);
  }

  Task<void> query(std::unique_ptr<net::Stream> stream) {
    Dialogue dialogue(loop_, Clock::now() + target_->connect_timeout, std::move(stream));
    const auto start = Clock::now();
    const auto answer = co_await ask(dialogue, kTestQuery);
    const auto took = since(start);
    if (!answer) {
      report_.fail("query", took, answer.error());
    } else {
      report_.succeed("query", took, 1, std::string(kTestQuery));
      report_.round_trip = std::min(report_.round_trip, took);
      // What is not Postgres itself (a pooler, a cousin) may not know these settings: no failure.
      if (const auto facts = co_await ask(dialogue, kFactsQuery)) learn(*facts);
      std::string goodbye;
      pg::append_empty(goodbye, pg::Frontend::kTerminate);
      dialogue.write(goodbye);
      loop_.close_later(finished(dialogue.take_stream()), std::chrono::milliseconds(1000));
    }
  }

  static std::unique_ptr<net::Stream> finished(std::unique_ptr<net::Stream> stream) {
    stream->finish();
    return stream;
  }

  void learn(const Row& row) {
    constexpr std::size_t kColumns = 6;
    if (row.size() != kColumns) return;
    ServerFacts& facts = report_.facts;
    facts.version_num = number(row[0]);
    facts.max_connections = number(row[1]);
    facts.reserved_connections = number(row[2]);
    facts.wal_level = row[3].value_or("");
    facts.read_only = row[4] == "t";
    facts.superuser = row[5] == "on";
    const int limit = launch_.config.origin_connection_limit;
    const int available = facts.max_connections - facts.reserved_connections;
    if (facts.max_connections > 0 && limit > available) {
      report_.warn(
          "query",
          fmt::format("the config may open {} connections, the origin allows {}", limit, available),
          "Lower --origin-connection-limit, or raise max_connections at the origin.");
    }
  }

  const core::Launch& launch_;
  const std::shared_ptr<const OriginTarget> target_;
  net::Loop& loop_;
  VerifyReport& report_;
  std::vector<std::string> addresses_;
  std::size_t tried_ = 0;
  Clock::time_point start_;
  std::unique_ptr<OriginLogin> login_;
  std::optional<net::Job<void>> query_;
};

}  // namespace

Verification verify_origin(const core::Launch& launch) {
  VerifyReport report(launch.config.origin.scheme);
  const auto finish = [&report] { return Verification{report.ok(), report.json()}; };
  auto target = make_origin_target(launch.config, launch.certificates);
  if (!target) {
    core::Error error = target.error();
    error.code = code::kOriginOther;
    report.fail("tls", Microseconds{0}, error);
    return finish();
  }
  auto loop = net::Loop::create();
  if (!loop) {
    report.fail("tcp", Microseconds{0}, loop.error());
    return finish();
  }
  Verifier(launch, std::move(*target), **loop, report).run();
  return finish();
}

}  // namespace hyperdrive::proxy::session::postgres
