#include "fake_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <vector>

#include "core/base/file.hpp"
#include "core/base/handover.hpp"
#include "core/base/last_word.hpp"
#include "core/config/json.hpp"

namespace hyperdrive::core {

std::string fake_proxy_program() { return std::filesystem::read_symlink("/proc/self/exe"); }

namespace {

volatile sig_atomic_t stopped = 0;
constexpr int kDrainRounds = 20;  ///< of at most 20 ms each

int listen_tcp(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return -1;
  ::listen(fd, 64);
  return fd;
}

int listen_unix(const std::string& path) {
  ::unlink(path.c_str());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return -1;
  ::listen(fd, 64);
  return fd;
}

void answer_ready(int fd, bool ready, std::uint16_t port, const char* reason) {
  const Ready line{ready, port, Error{"refused for a test", "a hint", 2013, Exit::kError}, reason};
  write_all(fd, ready_line(line));
  ::close(fd);
}

/// One request an accepted connection; answers whatever was asked.
void serve_http(int fd) {
  std::string request;
  char chunk[4096];
  while (request.find("\r\n\r\n") == std::string::npos) {
    const ssize_t got = ::read(fd, chunk, sizeof chunk);
    if (got <= 0) break;
    request.append(chunk, static_cast<std::size_t>(got));
  }
  std::string status = "200 OK";
  std::string body = std::string(R"({"state":")") + (stopped ? "draining" : "running") +
                     R"(","pid":)" + std::to_string(::getpid()) + "}";
  if (request.starts_with("GET /missing")) {
    status = "404 Not Found";
    body = R"({"error":{"code":2006,"message":"nothing here","hint":"look elsewhere"}})";
  }
  if (request.starts_with("GET /v1/events")) body = "{\"n\":1}\n\n{\"n\":2}\n{\"n\":3}\n";
  write_all(fd, "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) +
                    "\r\nConnection: close\r\n\r\n" + body);
  ::close(fd);
}

[[noreturn]] void serve(Launch launch, std::vector<int> listeners) {
  const int admin = listen_unix(launch.admin_socket);
  const int handover = listen_unix(launch.handover_socket);
  Predecessor predecessor(Descriptor(launch.handover_fd));
  predecessor.announce_ready();
  int peer = -1;
  int drained = 0;
  const auto leave = [&](bool handed_over) {
    if (!handed_over) say_last_word(launch.lock_fd);
    ::unlink(launch.admin_socket.c_str());
    ::unlink(launch.handover_socket.c_str());
    ::_exit(0);
  };
  for (;;) {
    std::vector<pollfd> entries = {{admin, POLLIN, 0}, {handover, POLLIN, 0}, {peer, POLLIN, 0}};
    for (const int listener : listeners) entries.push_back({listener, POLLIN, 0});
    if (::poll(entries.data(), entries.size(), 20) < 0) continue;
    if (stopped && (launch.config.name != "drains" || ++drained > kDrainRounds)) leave(false);
    if (entries[0].revents) serve_http(::accept(admin, nullptr, nullptr));
    if (entries[1].revents && peer < 0) {
      peer = ::accept(handover, nullptr, nullptr);
      send_listeners(peer, listeners, launch.lock_fd);
    }
    if (entries[2].revents) {
      char tag = 0;
      if (::read(peer, &tag, 1) == 1 && tag == kHandoverReady) leave(true);
      ::close(peer);
      peer = -1;
    }
    for (std::size_t i = 3; i < entries.size(); ++i)
      if (entries[i].revents) {
        const int client = ::accept(entries[i].fd, nullptr, nullptr);
        write_all(client, std::to_string(::getpid()) + "\n");
        ::close(client);
      }
  }
}

[[noreturn]] void run(const std::map<std::string, int>& fds, bool verify) {
  ::signal(SIGTERM, [](int) { stopped = 1; });
  ::signal(SIGPIPE, SIG_IGN);  // as the proxy: a peer may only look whether somebody listens
  std::string text;
  char chunk[4096];
  for (ssize_t got; (got = ::read(fds.at("--config-fd"), chunk, sizeof chunk)) > 0;)
    text.append(chunk, static_cast<std::size_t>(got));
  ::close(fds.at("--config-fd"));
  auto launch = parse_launch(text);
  if (!launch) ::_exit(3);
  const std::string& name = launch->config.name;
  if (verify) {
    if (name == "silent") ::pause();
    if (name == "dies") {
      write_all(2, "first line\nno such option\n");
      ::_exit(9);
    }
    write_all(1, R"({"ok":true,"host":")" + launch->config.origin.host + "\"}\n");
    ::_exit(launch->config.origin.password.reveal() == "pass-" + name ? 0 : 1);
  }
  const int ready = fds.at("--ready-fd");
  if (name == "dies") {
    write_all(2, "the reason in the log\n");
    ::_exit(7);
  }
  if (name == "silent")
    for (;;) ::pause();
  if (name == "slow") ::usleep(300'000);
  if (name == "refuses") {
    answer_ready(ready, false, 0, "");
    ::_exit(1);
  }
  std::vector<int> listeners = launch->listen_fds;
  if (listeners.empty()) listeners.push_back(listen_tcp(launch->config.local.local_port));
  if (listeners[0] < 0) {
    answer_ready(ready, false, 0, "port_in_use");
    ::_exit(1);
  }
  answer_ready(ready, true, launch->config.local.local_port, "");
  serve(std::move(*launch), std::move(listeners));
}

/// Before main: Catch must not see these arguments.
struct Entry {
  Entry() {
    const auto line = read_file("/proc/self/cmdline");
    if (!line || line->find("--config-fd") == std::string::npos) return;
    std::vector<std::string> arguments;
    for (std::size_t at = 0; at < line->size(); at = line->find('\0', at) + 1)
      arguments.emplace_back(line->c_str() + at);
    std::map<std::string, int> fds;
    bool verify = false;
    for (std::size_t i = 1; i < arguments.size(); ++i) {
      if (arguments[i] == "--verify")
        verify = true;
      else if (i + 1 < arguments.size())
        fds[arguments[i]] = std::atoi(arguments[i + 1].c_str());
    }
    run(fds, verify);
  }
} entry;

}  // namespace
}  // namespace hyperdrive::core
