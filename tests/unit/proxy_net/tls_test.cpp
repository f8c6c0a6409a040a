#include "proxy/net/tls.hpp"

#include <openssl/evp.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "support.hpp"

using namespace hyperdrive::proxy::net;
using namespace hyperdrive::proxy::net::test;
using hyperdrive::core::Secret;

namespace {

/// A CA and certificates made by the openssl program, in a folder of their own.
class Certificates {
 public:
  Certificates() {
    folder_ = std::filesystem::temp_directory_path() / ("tls-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder_);
    run("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout ca.key -out "
        "ca.pem");
    issue("server", "DNS:db.example.com,IP:127.0.0.1");
    issue("client", "DNS:client.example.com");
  }
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;
  ~Certificates() { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ / name; }
  std::string text(const std::string& name) const {
    std::ifstream file(folder_ / name);
    std::stringstream all;
    all << file.rdbuf();
    return all.str();
  }

 private:
  void run(const std::string& command) const {
    const std::string line = "cd " + folder_.string() + " && " + command + " 2>/dev/null";
    REQUIRE(std::system(line.c_str()) == 0);
  }
  void issue(const std::string& name, const std::string& names) const {
    run("openssl req -newkey rsa:2048 -nodes -subj /CN=" + name + " -keyout " + name +
        ".key -out " + name + ".csr");
    run("echo subjectAltName=" + names + " > " + name + ".ext");
    run("openssl x509 -req -in " + name + ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2" +
        " -extfile " + name + ".ext -out " + name + ".pem");
  }

  std::filesystem::path folder_;
};

const Certificates& certificates() {
  static const Certificates made;
  return made;
}

std::shared_ptr<TlsContext> server_context() {
  TlsServerOptions options;
  options.cert_file = certificates().path("server.pem");
  options.key_file = certificates().path("server.key");
  return TlsContext::server(options).value();
}

/// A client and a server stream of one loop, connected with each other.
struct Both {
  explicit Both(Loop& on) : loop(on) {
    const int fd = open_listener("127.0.0.1", 0).value();
    const auto listener = loop.listen(fd, [&](std::unique_ptr<Stream> accepted) {
      server = std::move(accepted);
      server->set_handler(&server_side);
    });
    const auto pending =
        loop.connect("127.0.0.1", listening_port(fd).value(), 5s, [&](Loop::ConnectResult result) {
          client = std::move(result.value());
          client->set_handler(&client_side);
        });
    run_until(loop, [&] { return server && client; });
  }

  void shake_hands(const std::shared_ptr<TlsContext>& client_context, const std::string& host,
                   const std::string& client_alpn = "", const std::string& server_alpn = "") {
    bool client_done = false;
    bool server_done = false;
    start_tls_server(*server, server_context(), server_alpn, {}, [&](std::string error) {
      server_error = std::move(error);
      server_done = true;
    });
    start_tls_client(*client, client_context, host, client_alpn, [&](std::string error) {
      client_error = std::move(error);
      client_done = true;
      if (!client_error.empty()) client.reset();
    });
    run_until(loop, [&] { return client_done && (server_done || client_error.empty()); });
    if (client_error.empty()) run_until(loop, [&] { return server_done; });
  }

  Loop& loop;
  Recorder client_side;
  Recorder server_side;
  std::unique_ptr<Stream> client;
  std::unique_ptr<Stream> server;
  std::string client_error = "never called";
  std::string server_error = "never called";
};

std::shared_ptr<TlsContext> client_context(TlsVerify verify, const std::string& ca = "ca.pem") {
  TlsClientOptions options;
  options.verify = verify;
  if (!ca.empty()) options.ca_pem = certificates().text(ca);
  return TlsContext::client(options).value();
}

}  // namespace

TEST_CASE("bytes pass through TLS both ways, large and small") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Both both(*loop);
  both.shake_hands(client_context(TlsVerify::kFull), "db.example.com");
  REQUIRE(both.client_error.empty());
  REQUIRE(both.server_error.empty());
  CHECK(both.client->is_tls());
  CHECK(both.server->is_tls());
  std::string big(3'000'000, 'x');
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>('a' + i % 23);
  both.client->write("hello");
  both.server->write(big);
  run_until(
      *loop, [&] { return both.client_side.received.size() == big.size(); }, 30s);
  CHECK(both.client_side.received == big);
  CHECK(both.server_side.received == "hello");
  both.client->finish();
  run_until(*loop, [&] { return both.server_side.closes == 1; });
  CHECK(both.server_side.reason == CloseReason::kEof);
}

TEST_CASE("a paused TLS stream presents its bytes later, the end after them") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Both both(*loop);
  both.shake_hands(client_context(TlsVerify::kNone), "localhost");
  REQUIRE(both.client_error.empty());
  both.client->pause_reading();
  both.server->write(std::string(200'000, 'p'));
  both.server->finish();
  auto later = loop->timer([&] {
    CHECK(both.client_side.received.empty());
    CHECK(both.client_side.closes == 0);
    both.client->resume_reading();
  });
  later->arm(50ms);
  run_until(*loop, [&] { return both.client_side.closes == 1; });
  CHECK(both.client_side.received == std::string(200'000, 'p'));
}

TEST_CASE("what the client verifies decides whom it accepts") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Both both(*loop);
  SECTION("the name") {
    both.shake_hands(client_context(TlsVerify::kFull), "db.example.com");
    CHECK(both.client_error.empty());
  }
  SECTION("the address") {
    both.shake_hands(client_context(TlsVerify::kFull), "127.0.0.1");
    CHECK(both.client_error.empty());
  }
  SECTION("another name") {
    both.shake_hands(client_context(TlsVerify::kFull), "other.example.com");
    CHECK(both.client_error == "certificate verify failed: hostname mismatch");
  }
  SECTION("another name, only the CA matters") {
    both.shake_hands(client_context(TlsVerify::kCa), "other.example.com");
    CHECK(both.client_error.empty());
  }
  SECTION("another CA") {
    both.shake_hands(client_context(TlsVerify::kCa, ""), "db.example.com");
    CHECK_THAT(both.client_error, Catch::StartsWith("certificate verify failed: "));
    CHECK_FALSE(both.server_error.empty());
  }
  SECTION("nothing") {
    both.shake_hands(client_context(TlsVerify::kNone), "other.example.com");
    CHECK(both.client_error.empty());
  }
}

TEST_CASE("ALPN must agree where both sides ask for it") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Both both(*loop);
  const auto context = client_context(TlsVerify::kNone);
  SECTION("agreed") {
    both.shake_hands(context, "localhost", "postgresql", "postgresql");
    CHECK(both.client_error.empty());
  }
  SECTION("another protocol") {
    both.shake_hands(context, "localhost", "http/1.1", "postgresql");
    CHECK_FALSE(both.client_error.empty());
  }
}

TEST_CASE("plain bytes behind the request for TLS are refused") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Recorder handler;
  Pair pair(*loop, &handler);
  std::string error;
  handler.data = [&](Bytes bytes) -> std::size_t {
    REQUIRE(bytes.size() >= 4);
    start_tls_server(*pair.stream, server_context(), "", {},
                     [&](std::string why) { error = std::move(why); });
    return 4;
  };
  pair.peer.send("TLS?injected");
  run_until(*loop, [&] { return !error.empty(); });
  CHECK_THAT(error, Catch::Contains("unencrypted bytes"));
}

TEST_CASE("a handshake with nonsense or a vanishing peer fails in words") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Pair pair(*loop);
  Recorder handler;
  pair.stream->set_handler(&handler);
  std::string error;
  const auto done = [&](std::string why) { error = std::move(why); };
  SECTION("nonsense") {
    start_tls_server(*pair.stream, server_context(), "", {}, done);
    pair.peer.send("this is no client hello at all");
    run_until(*loop, [&] { return !error.empty(); });
  }
  SECTION("vanished") {
    start_tls_client(*pair.stream, client_context(TlsVerify::kNone), "localhost", "", done);
    pair.peer.close();
    run_until(*loop, [&] { return !error.empty(); });
    CHECK_THAT(error, Catch::Contains("closed") || Catch::Contains("reset"));
  }
  CHECK(handler.closes == 0);
}

TEST_CASE("the binding of SCRAM-PLUS is the SHA-256 of the certificate") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Both both(*loop);
  CHECK(both.client->tls_server_end_point().empty());
  const auto context = client_context(TlsVerify::kFull);
  both.shake_hands(context, "db.example.com");
  REQUIRE(both.client_error.empty());
  const std::string binding = both.client->tls_server_end_point();
  CHECK(binding.size() == 32);
  CHECK(binding == both.server->tls_server_end_point());
  const std::string file = certificates().path("binding");
  const std::string command = "openssl x509 -in " + certificates().path("server.pem") +
                              " -outform DER | openssl dgst -sha256 -binary > " + file;
  REQUIRE(std::system(command.c_str()) == 0);
  CHECK(binding == certificates().text("binding"));
  SECTION("also in a resumed session") {
    both.server->write("ticket follows");
    run_until(*loop, [&] { return !both.client_side.received.empty(); });
    Both again(*loop);
    again.shake_hands(context, "db.example.com");
    REQUIRE(again.client_error.empty());
    CHECK(again.client->tls_server_end_point() == binding);
  }
}

TEST_CASE("a broken certificate or key is told when the context is made") {
  TlsClientOptions options;
  options.verify = TlsVerify::kCa;
  SECTION("no CA") { options.ca_pem = "not a certificate"; }
  SECTION("a cut CA") {
    options.ca_pem = certificates().text("ca.pem");
    options.ca_pem.resize(options.ca_pem.size() / 2);
  }
  SECTION("another key") {
    options.client_pem = certificates().text("client.pem");
    options.client_key_pem = Secret(certificates().text("server.key"));
  }
  SECTION("no key") {
    options.client_pem = certificates().text("client.pem");
    options.client_key_pem = Secret("nothing");
  }
  const auto context = TlsContext::client(options);
  REQUIRE_FALSE(context);
  CHECK_FALSE(context.error().message.empty());
  CHECK_FALSE(context.error().hint.empty());
}

TEST_CASE("a client certificate is accepted with its key") {
  TlsClientOptions options;
  options.client_pem = certificates().text("client.pem");
  options.client_key_pem = Secret(certificates().text("client.key"));
  CHECK(TlsContext::client(options));
}
