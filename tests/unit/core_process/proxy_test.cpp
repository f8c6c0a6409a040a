#include "core/process/proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <thread>

#include "core/base/file.hpp"
#include "core/process/admin_client.hpp"
#include "core/process/files.hpp"
#include "core/process/ports.hpp"
#include "fake_proxy.hpp"
#include "scratch.hpp"

using namespace hyperdrive::core;
using namespace std::chrono_literals;

namespace {

const std::string kId = "0123456789abcdef0123456789abcdef";

std::uint16_t free_port() {
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  socklen_t length = sizeof address;
  REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  return ntohs(address.sin_port);
}

/// Connects and reads the pid that the stand-in says; 0 when nobody listens.
pid_t who_answers(std::uint16_t port) {
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return 0;
  char text[32] = {};
  return ::read(socket.get(), text, sizeof text - 1) > 0 ? std::atoi(text) : -1;
}

bool wait_for(const std::function<bool()>& condition, std::chrono::milliseconds limit = 10s) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < deadline) {
    if (condition()) return true;
    std::this_thread::sleep_for(5ms);
  }
  return condition();
}

/// A home and one config; whatever of it still runs at the end is killed.
struct Fixture {
  Scratch scratch;
  Home home = scratch.home();
  Launch launch;

  explicit Fixture(const std::string& name = "shop") {
    ::setenv("HYPERDRIVE_PROXY", fake_proxy_program().c_str(), 1);
    launch.config = sample(name);
    launch.config.id = kId;
    launch.config.local.local_port = free_port();
  }
  ~Fixture() { kill_proxy(home, kId); }
  std::uint16_t port() const { return launch.config.local.local_port; }
  ProxyPhase phase() const { return proxy_state(home, kId)->phase; }
};

bool gone(pid_t pid) { return !process_start_time(pid); }

}  // namespace

TEST_CASE("a started proxy listens, says where, and can be stopped") {
  Fixture fixture;
  CHECK(fixture.phase() == ProxyPhase::kStopped);
  const auto started = start_proxy(fixture.home, fixture.launch);
  INFO((started ? "" : started.error().message + started.error().hint));
  REQUIRE(started);
  CHECK_FALSE(started->already_running);
  CHECK(started->port == fixture.port());
  CHECK(who_answers(fixture.port()) == started->pid);
  const auto state = proxy_state(fixture.home, kId);
  REQUIRE(state);
  CHECK(state->phase == ProxyPhase::kRunning);
  CHECK(state->pid == started->pid);
  CHECK(state->port == fixture.port());
  CHECK(state->admin_socket == (fixture.home.run() / (kId + ".sock")).string());
  CHECK(AdminClient(state->admin_socket).get("/v1/status")->status == 200);
  CHECK(stop_proxy(fixture.home, kId).value() == true);
  CHECK(gone(started->pid));
  CHECK(fixture.phase() == ProxyPhase::kStopped);
  CHECK_FALSE(proxy_state(fixture.home, kId)->crashed);
  CHECK(stop_proxy(fixture.home, kId).value() == false);
  CHECK(who_answers(fixture.port()) == 0);
}

TEST_CASE("the proxy's files are for the owner only, and its command line holds no secret") {
  Fixture fixture;
  const auto started = start_proxy(fixture.home, fixture.launch);
  REQUIRE(started);
  for (const auto& folder : {fixture.home.run(), fixture.home.log()}) {
    struct stat status;
    REQUIRE(::stat(folder.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      REQUIRE(::stat(entry.path().c_str(), &status) == 0);
      INFO(entry.path());
      if (!S_ISSOCK(status.st_mode)) CHECK((status.st_mode & 0077) == 0);
      if (S_ISREG(status.st_mode))
        CHECK(read_file(entry.path())->find("pass-") == std::string::npos);
    }
  }
  const std::string proc = "/proc/" + std::to_string(started->pid);
  CHECK(read_file(proc + "/cmdline")->find("pass-") == std::string::npos);
  CHECK(read_file(proc + "/environ")->find("pass-") == std::string::npos);
}

TEST_CASE("a secret in the caller's environment does not reach the proxy") {
  Fixture fixture;
  ::setenv("CLOUDFLARE_API_TOKEN", "token-in-env", 1);
  ::setenv("HYPERDRIVE_KEY", "a-sealing-key-in-env", 1);
  const auto started = start_proxy(fixture.home, fixture.launch);
  ::unsetenv("CLOUDFLARE_API_TOKEN");
  ::unsetenv("HYPERDRIVE_KEY");
  REQUIRE(started);
  const auto environment = read_file("/proc/" + std::to_string(started->pid) + "/environ");
  CHECK(environment->find("in-env") == std::string::npos);
  CHECK(environment->find("PATH=") != std::string::npos);
}

TEST_CASE("a second start finds the first; two at once make one proxy and both succeed") {
  Fixture fixture("slow");
  std::vector<pid_t> starters;
  int answers[2];
  REQUIRE(::pipe(answers) == 0);
  for (int i = 0; i < 3; ++i) {
    const pid_t pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
      const auto started = start_proxy(fixture.home, fixture.launch);
      const pid_t proxy = started ? started->pid : -1;
      ::_exit(::write(answers[1], &proxy, sizeof proxy) == sizeof proxy ? 0 : 1);
    }
    starters.push_back(pid);
  }
  pid_t seen[3];
  for (pid_t& proxy : seen) REQUIRE(::read(answers[0], &proxy, sizeof proxy) == sizeof proxy);
  for (const pid_t pid : starters) ::waitpid(pid, nullptr, 0);
  ::close(answers[0]);
  ::close(answers[1]);
  CHECK(seen[0] > 0);
  CHECK(seen[1] == seen[0]);
  CHECK(seen[2] == seen[0]);
  const auto again = start_proxy(fixture.home, fixture.launch);
  REQUIRE(again);
  CHECK(again->already_running);
  CHECK(again->pid == seen[0]);
}

TEST_CASE("a killed proxy leaves nothing in the way") {
  Fixture fixture;
  const auto started = start_proxy(fixture.home, fixture.launch);
  REQUIRE(started);
  ::kill(started->pid, SIGKILL);
  REQUIRE(wait_for([&] { return gone(started->pid); }));
  const auto state = proxy_state(fixture.home, kId);
  REQUIRE(state);
  CHECK(state->phase == ProxyPhase::kStopped);
  CHECK(state->crashed);
  const auto again = start_proxy(fixture.home, fixture.launch);
  REQUIRE(again);
  CHECK_FALSE(again->already_running);
  CHECK(again->pid != started->pid);
}

TEST_CASE("a crash is told to everybody until the proxy is started or stopped") {
  Fixture fixture;
  const auto crash = [&] {
    const auto started = start_proxy(fixture.home, fixture.launch);
    REQUIRE(started);
    CHECK_FALSE(proxy_state(fixture.home, kId)->crashed);
    ::kill(started->pid, SIGKILL);
    REQUIRE(wait_for([&] { return gone(started->pid); }));
    for (int look = 0; look < 3; ++look) CHECK(proxy_state(fixture.home, kId)->crashed);
  };
  crash();
  crash();
  CHECK(stop_proxy(fixture.home, kId).value() == false);
  CHECK_FALSE(proxy_state(fixture.home, kId)->crashed);
  CHECK_FALSE(std::filesystem::exists(fixture.home.run() / (kId + ".json")));
  CHECK_FALSE(std::filesystem::exists(fixture.home.run() / (kId + ".sock")));
}

TEST_CASE("a proxy that somebody ended by SIGTERM has not crashed, nor has its successor") {
  Fixture fixture;
  auto started = start_proxy(fixture.home, fixture.launch);
  REQUIRE(started);
  for (int round = 0; round < 2; ++round) {
    ::kill(started->pid, SIGTERM);
    REQUIRE(wait_for([&] { return gone(started->pid); }));
    CHECK_FALSE(proxy_state(fixture.home, kId)->crashed);
    CHECK_FALSE(std::filesystem::exists(fixture.home.run() / (kId + ".json")));
    REQUIRE(start_proxy(fixture.home, fixture.launch));
    started = restart_proxy(fixture.home, fixture.launch);
    REQUIRE(started);
  }
  // What the one before it said is not its own.
  ::kill(started->pid, SIGKILL);
  REQUIRE(wait_for([&] { return gone(started->pid); }));
  CHECK(proxy_state(fixture.home, kId)->crashed);
}

TEST_CASE("kill -9 of the CLI at any moment of a start: the proxy is known, or there is none") {
  for (const auto delay : {0us, 200us, 1000us, 3000us, 6000us, 12000us, 25000us}) {
    Fixture fixture("slow");
    const pid_t cli = ::fork();
    REQUIRE(cli >= 0);
    if (cli == 0) {
      start_proxy(fixture.home, fixture.launch);
      ::_exit(0);
    }
    std::this_thread::sleep_for(delay);
    ::kill(cli, SIGKILL);
    ::waitpid(cli, nullptr, 0);
    const auto started = start_proxy(fixture.home, fixture.launch);
    INFO((started ? "" : started.error().message));
    REQUIRE(started);
    CHECK(who_answers(fixture.port()) == started->pid);
    CHECK(fixture.phase() == ProxyPhase::kRunning);
    CHECK(stop_proxy(fixture.home, kId).value());
    CHECK(who_answers(fixture.port()) == 0);
  }
}

TEST_CASE("a stale state file whose pid is somebody else's now is not believed") {
  Fixture fixture;
  std::filesystem::create_directories(fixture.home.run());
  StateFile state;
  state.pid = ::getpid();
  state.start_time = *process_start_time(::getpid()) + 1;
  state.port = fixture.port();
  state.ready = true;
  std::ofstream(fixture.home.run() / (kId + ".json")) << print_state(state);
  std::ofstream(fixture.home.run() / (kId + ".lock"));
  CHECK(proxy_state(fixture.home, kId)->phase == ProxyPhase::kStopped);
  CHECK(stop_proxy(fixture.home, kId).value() == false);
}

TEST_CASE("why a proxy does not start is told in its words") {
  SECTION("it refuses") {
    Fixture fixture("refuses");
    const auto started = start_proxy(fixture.home, fixture.launch);
    REQUIRE_FALSE(started);
    CHECK(started.error().message == "refused for a test");
    CHECK(started.error().hint == "a hint");
    CHECK(started.error().code == 2013);
    CHECK(fixture.phase() == ProxyPhase::kStopped);
  }
  SECTION("it dies") {
    Fixture fixture("dies");
    const auto started = start_proxy(fixture.home, fixture.launch);
    REQUIRE_FALSE(started);
    CHECK(started.error().message.find("exit code 7") != std::string::npos);
    CHECK(started.error().hint.find("the reason in the log") != std::string::npos);
  }
  SECTION("it says nothing") {
    Fixture fixture("silent");
    const auto started = start_proxy(fixture.home, fixture.launch, 300ms);
    REQUIRE_FALSE(started);
    CHECK(started.error().message.find("not ready in time") != std::string::npos);
    CHECK(fixture.phase() == ProxyPhase::kStopped);
  }
  SECTION("there is no such program") {
    Fixture fixture;
    ::setenv("HYPERDRIVE_PROXY", "/nowhere/hyperdrive-proxy", 1);
    const auto started = start_proxy(fixture.home, fixture.launch);
    REQUIRE_FALSE(started);
    CHECK(started.error().message.find("/nowhere/hyperdrive-proxy") != std::string::npos);
  }
}

TEST_CASE("a port in use: who holds it, and the next free one") {
  Fixture fixture;
  Descriptor other(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(fixture.port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(other.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(other.get(), 1) == 0);
  CHECK_FALSE(port_is_free(fixture.port()));
  const auto holder = port_holder(fixture.port());
  REQUIRE(holder);
  CHECK(holder->pid == ::getpid());
  const auto both = port_holders({fixture.port(), next_free_port(fixture.port())});
  REQUIRE(both.size() == 1);
  CHECK(both.at(fixture.port()).pid == ::getpid());
  CHECK(listening_ports().contains(fixture.port()));
  const auto started = start_proxy(fixture.home, fixture.launch);
  REQUIRE_FALSE(started);
  CHECK(started.error().message.find("(pid " + std::to_string(::getpid()) + ")") !=
        std::string::npos);
  CHECK(started.error().hint.find("--local-port") != std::string::npos);
  const std::uint16_t next = next_free_port(fixture.port());
  CHECK(next > fixture.port());
  CHECK(port_is_free(next));
  other.reset();
  CHECK(port_is_free(fixture.port()));
  CHECK_FALSE(port_holder(fixture.port()).has_value());
}

TEST_CASE("restart hands the listening socket over: no connection is refused") {
  Fixture fixture;
  auto running = start_proxy(fixture.home, fixture.launch);
  REQUIRE(running);
  std::atomic<bool> done = false;
  std::atomic<int> refused = 0;
  std::atomic<int> answered = 0;
  std::thread client([&] {
    while (!done) {
      const pid_t pid = who_answers(fixture.port());
      if (pid == 0) ++refused;
      if (pid > 0) ++answered;
    }
  });
  for (int i = 0; i < 3; ++i) {
    const pid_t before = running->pid;
    const std::string socket = running->admin_socket;
    running = restart_proxy(fixture.home, fixture.launch);
    INFO((running ? "" : running.error().message));
    REQUIRE(running);
    CHECK(running->pid != before);
    CHECK(running->admin_socket != socket);
    CHECK(wait_for([&] { return gone(before); }));
    CHECK(who_answers(fixture.port()) == running->pid);
    CHECK(proxy_state(fixture.home, kId)->pid == running->pid);
  }
  done = true;
  client.join();
  CHECK(refused == 0);
  CHECK(answered > 0);
  CHECK(stop_proxy(fixture.home, kId).value());
  CHECK(who_answers(fixture.port()) == 0);
}

TEST_CASE("a restart whose new proxy fails leaves the old one working") {
  Fixture fixture;
  const auto running = start_proxy(fixture.home, fixture.launch);
  REQUIRE(running);
  for (const char* name : {"refuses", "dies"}) {
    Launch broken = fixture.launch;
    broken.config.name = name;
    CHECK_FALSE(restart_proxy(fixture.home, broken));
    CHECK(who_answers(fixture.port()) == running->pid);
    const auto state = proxy_state(fixture.home, kId);
    CHECK(state->phase == ProxyPhase::kRunning);
    CHECK(state->pid == running->pid);
  }
  REQUIRE(restart_proxy(fixture.home, fixture.launch));
}

TEST_CASE("a restart with another port listens there") {
  Fixture fixture;
  const std::uint16_t before = fixture.port();
  REQUIRE(start_proxy(fixture.home, fixture.launch));
  fixture.launch.config.local.local_port = free_port();
  const auto running = restart_proxy(fixture.home, fixture.launch);
  REQUIRE(running);
  CHECK(who_answers(fixture.port()) == running->pid);
  CHECK(wait_for([&] { return who_answers(before) == 0; }));
}

TEST_CASE("restart of a stopped proxy is a start") {
  Fixture fixture;
  const auto running = restart_proxy(fixture.home, fixture.launch);
  REQUIRE(running);
  CHECK(who_answers(fixture.port()) == running->pid);
}

TEST_CASE("an attached proxy ends with its parent, however that ends") {
  Fixture fixture;
  int answers[2];
  REQUIRE(::pipe(answers) == 0);
  const pid_t parent = ::fork();
  REQUIRE(parent >= 0);
  if (parent == 0) {
    const auto started = start_attached_proxy(fixture.home, fixture.launch);
    const pid_t proxy = started ? started->pid : -1;
    if (::write(answers[1], &proxy, sizeof proxy) != sizeof proxy) ::_exit(1);
    for (;;) ::pause();
  }
  pid_t proxy = 0;
  REQUIRE(::read(answers[0], &proxy, sizeof proxy) == sizeof proxy);
  ::close(answers[0]);
  ::close(answers[1]);
  REQUIRE(proxy > 0);
  CHECK(who_answers(fixture.port()) == proxy);
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  CHECK(wait_for([&] { return gone(proxy); }));
  CHECK(fixture.phase() == ProxyPhase::kStopped);
}

TEST_CASE("an attached proxy is stopped and collected by its parent") {
  Fixture fixture;
  const auto started = start_attached_proxy(fixture.home, fixture.launch);
  REQUIRE(started);
  CHECK(stop_proxy(fixture.home, kId).value());
  CHECK(who_answers(fixture.port()) == 0);
}

TEST_CASE("a stop ends no proxy that somebody starts after it") {
  Fixture fixture;
  REQUIRE(start_proxy(fixture.home, fixture.launch));
  for (int i = 0; i < 60; ++i) {
    Result<Started> next;
    std::thread starter([&] {
      do next = start_proxy(fixture.home, fixture.launch);
      while (next && next->already_running);
    });
    CHECK(stop_proxy(fixture.home, kId));
    starter.join();
    INFO((next ? "" : next.error().message));
    REQUIRE(next);
    CHECK(who_answers(fixture.port()) == next->pid);
    CHECK(proxy_state(fixture.home, kId)->pid == next->pid);
  }
}

TEST_CASE("a start waits for the end of a proxy that drains, which is not running any more") {
  Fixture fixture("drains");
  const auto before = start_proxy(fixture.home, fixture.launch);
  REQUIRE(before);
  ::kill(before->pid, SIGTERM);
  REQUIRE(wait_for([&] {
    return AdminClient(before->admin_socket).get("/v1/status")->body.find("draining") !=
           std::string::npos;
  }));
  const auto next = start_proxy(fixture.home, fixture.launch);
  INFO((next ? "" : next.error().message));
  REQUIRE(next);
  CHECK_FALSE(next->already_running);
  CHECK(next->pid != before->pid);
  CHECK(who_answers(fixture.port()) == next->pid);
}

TEST_CASE("a stop ends the successor of a restart that comes between") {
  Fixture fixture("slow");
  REQUIRE(start_proxy(fixture.home, fixture.launch));
  Result<Started> next;
  std::thread restarter([&] { next = restart_proxy(fixture.home, fixture.launch); });
  REQUIRE(
      wait_for([&] { return read_file((fixture.home.run() / (kId + ".next.json"))).has_value(); }));
  CHECK(stop_proxy(fixture.home, kId));
  restarter.join();
  CHECK(wait_for([&] { return who_answers(fixture.port()) == 0; }));
  CHECK(fixture.phase() == ProxyPhase::kStopped);
}

TEST_CASE("forgetting a proxy removes its files, but not while it runs") {
  Fixture fixture;
  REQUIRE(start_proxy(fixture.home, fixture.launch));
  CHECK_FALSE(forget_proxy(fixture.home, kId));
  REQUIRE(stop_proxy(fixture.home, kId));
  REQUIRE(forget_proxy(fixture.home, kId));
  CHECK(std::filesystem::is_empty(fixture.home.run()));
  CHECK(std::filesystem::is_empty(fixture.home.log()));
}

TEST_CASE("a home with a long path: the sockets lie in a private folder") {
  Fixture fixture;
  fixture.home.folder = fixture.scratch.folder() / std::string(90, 'x');
  const auto started = start_proxy(fixture.home, fixture.launch);
  INFO((started ? "" : started.error().message));
  REQUIRE(started);
  CHECK(started->admin_socket.size() <= 107);
  CHECK(AdminClient(started->admin_socket).get("/healthz")->status == 200);
  const auto restarted = restart_proxy(fixture.home, fixture.launch);
  REQUIRE(restarted);
  CHECK(restarted->admin_socket != started->admin_socket);
  CHECK(stop_proxy(fixture.home, kId).value());
}

TEST_CASE("verify gives back the report, or why there is none") {
  Fixture fixture;
  const auto report = verify_origin(fixture.launch);
  REQUIRE(report);
  CHECK(report->find("\"db.example.com\"") != std::string::npos);
  fixture.launch.config.name = "dies";
  const auto died = verify_origin(fixture.launch);
  REQUIRE_FALSE(died);
  CHECK(died.error().message.find("exit code 9") != std::string::npos);
  CHECK(died.error().message.find("no such option") != std::string::npos);
  fixture.launch.config.name = "silent";
  const auto silent = verify_origin(fixture.launch, 200ms);
  REQUIRE_FALSE(silent);
  CHECK(silent.error().message.find("longer") != std::string::npos);
}

TEST_CASE("the admin client reads answers, errors and streams") {
  Fixture fixture;
  const auto started = start_proxy(fixture.home, fixture.launch);
  REQUIRE(started);
  AdminClient client(started->admin_socket);
  CHECK(client.get_body("/v1/stats")->find("running") != std::string::npos);
  CHECK(client.post_body("/v1/purge", "{}"));
  const auto missing = client.get_body("/missing");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().message == "nothing here");
  CHECK(missing.error().hint == "look elsewhere");
  CHECK(missing.error().code == 2006);
  std::vector<std::string> lines;
  REQUIRE(client.stream(
      "/v1/events",
      [&](std::string_view line) {
        lines.emplace_back(line);
        return lines.size() < 2;
      },
      [] { return true; }));
  CHECK(lines == std::vector<std::string>{"{\"n\":1}", "{\"n\":2}"});
  AdminClient nobody((fixture.home.run() / "no.sock").string());
  CHECK_FALSE(nobody.get("/"));
}
