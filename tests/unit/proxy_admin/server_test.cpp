// The HTTP server over real sockets, spoken to in raw bytes so that nothing is too malformed to
// send.
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <thread>

#include "fake_backend.hpp"
#include "proxy/admin/server.hpp"

using namespace hyperdrive::proxy::admin;
using hyperdrive::core::Secret;
using hyperdrive::tests::FakeBackend;
using namespace std::string_literals;

namespace {

class Folder {
 public:
  Folder() {
    std::string name = "/tmp/hd-admin-XXXXXX";
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string file(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

class Client {
 public:
  explicit Client(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  explicit Client(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  ~Client() { close(fd_); }

  void send(const std::string& bytes) {
    REQUIRE(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
  }
  /// Reads until `text` has come, or the end, at most 10 s.
  std::string read_until(const std::string& text) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    std::string all;
    while (all.find(text) == std::string::npos && std::chrono::steady_clock::now() < deadline) {
      pollfd wait{fd_, POLLIN, 0};
      if (poll(&wait, 1, 100) <= 0) continue;
      char bytes[4096];
      const ssize_t size = recv(fd_, bytes, sizeof bytes, 0);
      if (size <= 0) break;
      all.append(bytes, static_cast<std::size_t>(size));
    }
    return all;
  }
  std::string request(const std::string& head, const std::string& body = {}) {
    send(head + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body);
    return read_until("never sent");
  }

 private:
  int fd_;
};

struct Fixture {
  Folder folder;
  FakeBackend backend;
  EventHub events;
  std::unique_ptr<AdminServer> server;

  explicit Fixture(std::uint16_t port = 0) {
    AdminOptions options{socket_path(), port, Secret("the-token")};
    auto started = AdminServer::start(options, backend, events);
    REQUIRE(started);
    server = std::move(*started);
  }
  std::string socket_path() const { return folder.file("admin.sock"); }
};

std::uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  close(fd);
  return ntohs(address.sin_port);
}

bool contains(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the socket file is private and goes with the server") {
  Fixture fixture;
  struct stat info {};
  REQUIRE(stat(fixture.socket_path().c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(contains(Client(fixture.socket_path()).request("GET /v1/stats"), "\"queries\":250"));
  const std::string path = fixture.socket_path();
  fixture.server.reset();
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a stale socket file is replaced, a live one and another file are not") {
  Folder folder;
  FakeBackend backend;
  EventHub events;
  const std::string path = folder.file("admin.sock");
  const int stale = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(bind(stale, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  close(stale);

  const auto first = AdminServer::start({path, 0, Secret()}, backend, events);
  REQUIRE(first);
  const auto second = AdminServer::start({path, 0, Secret()}, backend, events);
  REQUIRE_FALSE(second);
  CHECK(contains(second.error().message, "another proxy is listening"));
  CHECK(contains(Client(path).request("GET /healthz"), "ok"));

  const std::string file = folder.file("notes.txt");
  close(creat(file.c_str(), 0600));
  CHECK_FALSE(AdminServer::start({file, 0, Secret()}, backend, events));
  CHECK(std::filesystem::exists(file));
  CHECK_FALSE(AdminServer::start({"/tmp/" + std::string(120, 'x'), 0, Secret()}, backend, events));
}

TEST_CASE("one connection carries several requests") {
  Fixture fixture;
  Client client(fixture.socket_path());
  const std::string request = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
  client.send(request + request);
  std::string both = client.read_until("ok\n");
  if (both.find("ok\n") == both.rfind("ok\n")) both += client.read_until("ok\n");
  CHECK(both.find("ok\n") != both.rfind("ok\n"));
}

TEST_CASE("bad requests get an answer and harm nobody") {
  Fixture fixture;
  const std::string path = fixture.socket_path();
  const auto raw = [&](const std::string& bytes) {
    Client client(path);
    client.send(bytes);
    return client.read_until("}}\n");
  };
  CHECK(contains(raw("NONSENSE\r\n\r\n"), " 400 "));
  CHECK(contains(raw("GET / HTTP/1.1\r\n" + std::string(9000, 'x') + ": y\r\n\r\n"), " 431 "));
  CHECK(contains(raw("POST /v1/purge HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"), " 413 "));
  CHECK(contains(raw("POST /v1/purge HTTP/1.1\r\nContent-Length: -5\r\n\r\n"), " 400 "));
  CHECK(contains(Client(path).request("POST /v1/purge", "{\"table\""), " 400 "));
  CHECK(contains(Client(path).request("POST /v1/explain", "{\"sql\":\"x\"}"), "volatile"));
  {
    Client gone(path);
    gone.send("GET /v1/st");
  }
  CHECK(contains(Client(path).request("GET /healthz"), "ok"));
}

TEST_CASE("HEAD has the length and no body, a large body is asked for") {
  Fixture fixture;
  const std::string head = Client(fixture.socket_path()).request("HEAD /healthz");
  CHECK(contains(head, "Content-Length: 3"));
  CHECK(head.ends_with("\r\n\r\n"));

  Client client(fixture.socket_path());
  client.send("POST /v1/explain HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n");
  CHECK(contains(client.read_until("\r\n\r\n"), "100 Continue"));
  client.send("{\"sql\":\"x\"}");
  CHECK(contains(client.read_until("}\n"), "volatile"));
}

TEST_CASE("events stream to every reader") {
  Fixture fixture;
  Client one(fixture.socket_path()), two(fixture.socket_path());
  for (Client* client : {&one, &two}) {
    client->send("GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(contains(client->read_until("\r\n\r\n"), "application/x-ndjson"));
  }
  REQUIRE(fixture.events.listening());
  QueryEvent event;
  event.sql = "SELECT 42";
  // The header may be out before the second reader is registered: publish until both have seen it.
  fixture.events.publish(event);
  CHECK(contains(one.read_until("SELECT 42"), "\"type\":\"query\""));
  CHECK(contains(two.read_until("SELECT 42"), "\"type\":\"query\""));
}

TEST_CASE("the port wants its token, and gives the dashboard for it") {
  const std::uint16_t port = free_port();
  Fixture fixture(port);
  const std::string host = "Host: 127.0.0.1:" + std::to_string(port) + "\r\n";
  const auto get = [&](const std::string& target, const std::string& headers) {
    Client client(port);
    client.send("GET " + target + " HTTP/1.1\r\n" + headers + "Connection: close\r\n\r\n");
    return client.read_until("never sent");
  };
  CHECK(contains(get("/healthz", host), " 200 "));
  CHECK(contains(get("/v1/stats", host), " 401 "));
  CHECK(contains(get("/", host), " 401 "));
  CHECK(contains(get("/v1/stats", "Host: evil.example\r\n"), " 403 "));
  CHECK(
      contains(get("/v1/stats", host + "Authorization: Bearer the-token\r\n"), "\"queries\":250"));
  CHECK(contains(get("/?token=wrong", host), " 401 "));

  const std::string entered = get("/?token=the-token", host);
  CHECK(contains(entered, " 303 "));
  const std::size_t at = entered.find("Set-Cookie: ") + 12;
  const std::string cookie = "Cookie: " + entered.substr(at, entered.find(';', at) - at) + "\r\n";
  const std::string page = get("/", host + cookie);
  CHECK(contains(page, "Content-Security-Policy: default-src 'none'"));
  CHECK(contains(page, "<title>hyperdrive</title>"));
  CHECK_FALSE(page.find("http://") != std::string::npos);
  CHECK(contains(get("/dashboard.js", host + cookie), "textContent"));
  CHECK(contains(get("/v1/queries", host + cookie), "\"classes\":[]"));
  CHECK(contains(get("/v1/status", host + cookie), "\"dashboard\":\"\""));
  CHECK(contains(Client(fixture.socket_path()).request("GET /v1/status"), "/?token=the-token"));
}

TEST_CASE("a port in use is an error that names it") {
  const std::uint16_t port = free_port();
  Fixture first(port);
  Folder folder;
  FakeBackend backend;
  EventHub events;
  const auto second =
      AdminServer::start({folder.file("b.sock"), port, Secret("t")}, backend, events);
  REQUIRE_FALSE(second);
  CHECK(contains(second.error().message, std::to_string(port)));
  CHECK_FALSE(std::filesystem::exists(folder.file("b.sock")));
}
