// The pure parts of an origin login, and the parts that a real server cannot be made to show; the
// rest is tested against real servers (tests/integration/test_verify.py).
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "proxy/session/postgres/origin_auth.hpp"
#include "proxy/session/postgres/origin_login.hpp"
#include "proxy/session/verify_report.hpp"
#include "proxy/wire/postgres/build.hpp"

using namespace hyperdrive;
using namespace hyperdrive::proxy::session;
using namespace hyperdrive::proxy::session::postgres;
namespace net = hyperdrive::proxy::net;
namespace pg = hyperdrive::proxy::wire::postgres;
using namespace std::string_literals;

namespace {

core::Config config_of(const std::string& host, core::SslMode mode, std::uint16_t port = 5432) {
  core::Config config;
  config.origin.host = host;
  config.origin.port = port;
  config.origin.user = "ada";
  config.origin.password = core::Secret("secret");
  config.origin.database = "shop";
  config.tls.mode = mode;
  return config;
}

std::shared_ptr<const OriginTarget> target_of(const core::Config& config) {
  auto target = make_origin_target(config, {});
  REQUIRE(target);
  return *target;
}

std::string error_body(const std::string& sqlstate, const std::string& message) {
  std::string out;
  pg::append_error_response(out, {"FATAL", sqlstate, message, "", ""});
  return out.substr(pg::kHeaderSize);
}

/// Listens on loopback and accepts one connection on a thread of its own.
class Listener {
 public:
  Listener() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(listen(fd_, 4) == 0);
    REQUIRE(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port = ntohs(address.sin_port);
  }
  ~Listener() { close(fd_); }
  /// Reads `wanted` bytes of the next connection, sends `answer`, waits for the peer's end.
  std::string serve(std::size_t wanted, const std::string& answer = {}, bool wait_for_end = false) {
    pollfd ready{fd_, POLLIN, 0};
    if (poll(&ready, 1, 10'000) != 1) return {};
    const int peer = accept(fd_, nullptr, nullptr);
    std::string got(wanted, '\0');
    std::size_t have = 0;
    while (have < wanted) {
      const ssize_t size = recv(peer, got.data() + have, wanted - have, 0);
      if (size <= 0) break;
      have += static_cast<std::size_t>(size);
    }
    got.resize(have);
    if (!answer.empty()) send(peer, answer.data(), answer.size(), MSG_NOSIGNAL);
    char rest;
    while (wait_for_end && recv(peer, &rest, 1, 0) > 0) continue;
    close(peer);
    return got;
  }
  std::uint16_t port = 0;

 private:
  int fd_;
};

}  // namespace

TEST_CASE("the default TLS mode is prefer on loopback and require elsewhere") {
  for (const char* host : {"127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LOCALHOST"}) {
    CHECK(target_of(config_of(host, core::SslMode::kDefault))->mode == core::SslMode::kPrefer);
  }
  for (const char* host : {"db.example.com", "10.0.0.1", "localhost.example.com", "::2"}) {
    CHECK(target_of(config_of(host, core::SslMode::kDefault))->mode == core::SslMode::kRequire);
  }
  CHECK(target_of(config_of("db", core::SslMode::kDisable))->tls == nullptr);
  CHECK(target_of(config_of("db", core::SslMode::kVerifyFull))->verifies_certificate);
  CHECK_FALSE(target_of(config_of("db", core::SslMode::kRequire))->verifies_certificate);
  CHECK(target_of(config_of("db", core::SslMode::kRequire))->application_name == "Hyperdrive");
}

TEST_CASE("an origin's refusals get Cloudflare's codes") {
  const auto target = target_of(config_of("db", core::SslMode::kDisable));
  const auto code = [&](const std::string& sqlstate, const std::string& message = "words") {
    return classify_origin_error(*target, error_body(sqlstate, message)).error.code;
  };
  CHECK(code("28P01") == 2013);
  CHECK(code("28000", "role \"ada\" does not exist") == 2013);
  CHECK(code("28000", "connection requires a valid client certificate") == 2015);
  CHECK(code("3D000") == 2014);
  CHECK(code("53300") == 2015);
  CHECK(code("XX000") == 2015);
  const auto failure = classify_origin_error(*target, error_body("57P03", "starting up"));
  CHECK(failure.transient);
  CHECK(failure.sqlstate == "57P03");
  CHECK(pg::parse_error_response(failure.origin_error)->message == "starting up");
  CHECK(failure.error.message.find("starting up") != std::string::npos);
  CHECK(classify_origin_error(*target, "garbage").error.code == 2015);
}

TEST_CASE("a cleartext password is sent inside TLS only") {
  const auto target = target_of(config_of("db", core::SslMode::kDisable));
  const pg::AuthenticationRequest asked{pg::Authentication::kCleartextPassword, {}};
  OriginAuthentication plain(*target, "", false), tls(*target, "", true);
  CHECK_FALSE(plain.answer(asked));
  CHECK(tls.answer(asked) == "p\0\0\0\x0bsecret\0"s);
  CHECK(tls.method() == "password");
}

TEST_CASE("the password's steps must come in their order") {
  const auto target = target_of(config_of("db", core::SslMode::kDisable));
  const auto fresh = [&] { return OriginAuthentication(*target, "", false); };
  CHECK(fresh().answer({pg::Authentication::kOk, {}}) == "");
  CHECK_FALSE(fresh().answer({pg::Authentication::kSaslContinue, "r=x,s=AAAA,i=1"}));
  CHECK_FALSE(fresh().answer({pg::Authentication::kSaslFinal, "v=AAAA"}));
  CHECK_FALSE(fresh().answer({pg::Authentication::kGss, {}}));
  CHECK_FALSE(fresh().answer({pg::Authentication::kSasl, "OTHER\0\0"s}));
  CHECK_FALSE(fresh().answer({pg::Authentication::kSasl, "SCRAM-SHA-256-PLUS\0\0"s}));  // no TLS
  auto started = fresh();
  REQUIRE(started.answer({pg::Authentication::kSasl, "SCRAM-SHA-256\0\0"s}));
  CHECK_FALSE(started.answer({pg::Authentication::kOk, {}}));  // without the server's proof
  CHECK_FALSE(started.done());
}

TEST_CASE("a cancel goes out on a connection of its own and ends with the origin's close") {
  Listener listener;
  std::string got;
  std::thread origin([&] { got = listener.serve(16); });
  auto loop = net::Loop::create();
  REQUIRE(loop);
  const auto target = target_of(config_of("127.0.0.1", core::SslMode::kPrefer, listener.port));
  bool done = false;
  const auto cancel = send_cancel(**loop, target, {}, false, 4711, "\1\2\3\4", [&] {
    done = true;
    (*loop)->stop();
  });
  (*loop)->run();
  origin.join();
  CHECK(done);
  CHECK(got == "\0\0\0\x10\x04\xd2\x16\x2e\0\0\x12\x67\1\2\3\4"s);
}

TEST_CASE("a cancel that cannot connect is over too") {
  std::uint16_t port;
  {
    const Listener gone;
    port = gone.port;
  }
  auto loop = net::Loop::create();
  REQUIRE(loop);
  const auto target = target_of(config_of("127.0.0.1", core::SslMode::kDisable, port));
  bool done = false;
  const auto cancel = send_cancel(**loop, target, {}, false, 1, "abcd", [&] {
    done = true;
    (*loop)->stop();
  });
  (*loop)->run();
  CHECK(done);
}

TEST_CASE("an abandoned login calls nobody and closes its connection") {
  Listener listener;
  // serve() returns when the peer has closed.
  auto loop = net::Loop::create();
  REQUIRE(loop);
  std::thread origin([&] {
    listener.serve(8, "", true);
    (*loop)->stop();
  });
  const auto target = target_of(config_of("127.0.0.1", core::SslMode::kDisable, listener.port));
  bool called = false;
  auto login = log_in(**loop, target, {}, [&](LoginResult) { called = true; });
  const auto timer = (*loop)->timer([&] { login.reset(); });
  timer->arm(net::Milliseconds(100));
  (*loop)->run();
  origin.join();
  CHECK_FALSE(called);
}

TEST_CASE("the callback may destroy the login, and the stream keeps what it did not read") {
  Listener listener;
  std::string answer;
  pg::append_authentication(answer, pg::Authentication::kOk);
  pg::append_parameter_status(answer, "server_version", "15.7");
  pg::append_backend_key_data(answer, 99, "abcd");
  pg::append_ready_for_query(answer, pg::TransactionStatus::kIdle);
  pg::append_parameter_status(answer, "TimeZone", "UTC");  // comes later, is the next owner's
  auto loop = net::Loop::create();
  REQUIRE(loop);
  std::thread origin([&] {
    listener.serve(8, answer, true);
    (*loop)->stop();
  });
  const auto target = target_of(config_of("127.0.0.1", core::SslMode::kDisable, listener.port));
  std::optional<OriginSession> session;
  std::unique_ptr<OriginLogin> login;
  login = log_in(**loop, target, {{"TimeZone", "UTC"}}, [&](LoginResult result) {
    if (result) session = std::move(*result);
    login.reset();
    (*loop)->stop();
  });
  (*loop)->run();
  REQUIRE(session);
  CHECK(session->parameter("server_version") == "15.7");
  CHECK(session->parameters.size() == 1);
  CHECK(session->process_id == 99);
  CHECK(session->cancel_key == "abcd");
  CHECK(session->progress.method == "trust");
  session.reset();
  (*loop)->run();  // until the origin has seen the end
  origin.join();
}

TEST_CASE("a report's document carries the failed step's error") {
  VerifyReport report(core::Scheme::kPostgres);
  report.succeed("dns", std::chrono::microseconds(1234), 0, "db is 192.0.2.7");
  report.fail("tcp", std::chrono::microseconds(10), {"refused", "start it", 2011});
  CHECK_FALSE(report.ok());
  const auto json = nlohmann::json::parse(report.json());
  CHECK(json["ok"] == false);
  CHECK(json["code"] == 2011);
  CHECK(json["hint"] == "start it");
  CHECK(json["steps"][0]["ms"] == 1.23);
  CHECK(json["steps"][1]["status"] == "failed");
  CHECK(json["steps"][5]["status"] == "skipped");
}
