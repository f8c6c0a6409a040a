// hyperdrive-proxy: started by the CLI with its configuration on an inherited descriptor.
//
//   hyperdrive-proxy --config-fd N [--ready-fd M]     serve
//   hyperdrive-proxy --verify --config-fd N           try the origin, print the steps
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/file.hpp"
#include "core/base/handover.hpp"
#include "core/base/last_word.hpp"
#include "core/config/json.hpp"
#include "proxy/admin/event_hub.hpp"
#include "proxy/admin/server.hpp"
#include "proxy/server/admin_adapter.hpp"
#include "proxy/server/crash.hpp"
#include "proxy/server/log_file.hpp"
#include "proxy/server/origin_verification.hpp"
#include "proxy/server/proxy.hpp"
#include "proxy/server/supervisor.hpp"

namespace hyperdrive::proxy::server {
namespace {

struct Arguments {
  bool verify = false;
  int config_fd = -1;
  int ready_fd = -1;
};

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

constexpr std::string_view kUsage =
    "hyperdrive-proxy is started by hyperdrive (hyperdrive start NAME).\n"
    "  --config-fd N   read the launch document from descriptor N\n"
    "  --ready-fd N    write one line there when connections are accepted, or why not\n"
    "  --verify        only try the origin and print the steps as JSON\n"
    "  --version       print the version\n";

std::optional<Arguments> read_arguments(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--verify") {
      arguments.verify = true;
    } else if ((word == "--config-fd" || word == "--ready-fd") && i + 1 < argc) {
      const auto value = number(argv[++i]);
      if (!value) return std::nullopt;
      (word == "--config-fd" ? arguments.config_fd : arguments.ready_fd) = *value;
    } else {
      return std::nullopt;
    }
  }
  if (arguments.config_fd < 0) return std::nullopt;
  return arguments;
}

core::Result<core::Launch> read_launch(int fd) {
  std::string document;
  char chunk[16384];
  while (true) {
    const auto got = ::read(fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return core::fail("The configuration cannot be read: " + core::errno_text(errno));
    if (got == 0) break;
    document.append(chunk, static_cast<std::size_t>(got));
  }
  ::close(fd);
  auto launch = core::parse_launch(document);
  ::explicit_bzero(document.data(), document.size());
  ::explicit_bzero(chunk, sizeof chunk);
  return launch;
}

void tell(int fd, const core::Ready& ready) {
  if (fd < 0) return;
  const std::string line = core::ready_line(ready);
  std::string_view rest = line;
  while (!rest.empty()) {
    const auto written = ::write(fd, rest.data(), rest.size());
    if (written <= 0) break;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  ::close(fd);
}

/// No secret leaves by a core file or a debugger of the same user, and ten thousand clients fit.
void prepare_process(const core::Launch& launch) {
  ::prctl(PR_SET_DUMPABLE, 0);
  rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  if (launch.exit_with_parent) ::prctl(PR_SET_PDEATHSIG, SIGTERM);
}

/// Null where the log goes to standard error.
std::shared_ptr<LogFile> open_log(const std::string& path) {
  auto file = path.empty() ? nullptr : std::make_shared<LogFile>(path);
  if (file && !file->is_open()) {
    std::fprintf(stderr, "hyperdrive-proxy: %s cannot be written; logging here\n", path.c_str());
    file = nullptr;
  }
  auto logger =
      file ? std::make_shared<spdlog::logger>("proxy", file) : spdlog::stderr_logger_mt("proxy");
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
  return file;
}

int fail(int ready_fd, const core::Error& error, const std::string& reason) {
  spdlog::error("{} {}", error.message, error.hint);
  tell(ready_fd, core::Ready{false, 0, error, reason});
  return 1;
}

int serve(core::Launch launch, std::shared_ptr<LogFile> log, int ready_fd) {
  block_signals();
  const std::string name = launch.config.name;
  const int lock = launch.lock_fd;
  const admin::AdminOptions admin_options{launch.admin_socket, launch.config.local.admin_port,
                                          admin::admin_token(launch.config.local.local_password),
                                          launch.handover_fd >= 0};
  const auto predecessor =
      std::make_shared<core::Predecessor>(core::Descriptor(launch.handover_fd));
  auto proxy = Proxy::create(std::move(launch));
  if (!proxy) return fail(ready_fd, proxy.error(), "config");
  std::string reason;
  if (auto listening = (*proxy)->listen(reason); !listening) {
    return fail(ready_fd, listening.error(), reason);
  }
  Supervisor supervisor(**proxy, std::move(log), predecessor);
  if (auto opened = supervisor.open(); !opened) return fail(ready_fd, opened.error(), {});
  admin::EventHub hub;
  AdminAdapter adapter(**proxy);
  (*proxy)->plane().follow(predecessor);
  if (predecessor->connection() >= 0) (*proxy)->plane().set_alone(false);
  if (auto started = (*proxy)->start(&hub); !started) {
    return fail(ready_fd, started.error(), "config");
  }
  auto admin = admin::AdminServer::start(admin_options, adapter, hub);
  if (!admin) return fail(ready_fd, admin.error(), {});
  predecessor->announce_ready();
  tell(ready_fd, core::Ready{true, (*proxy)->port(), {}, {}});
  spdlog::info("{} serves on port {}, pid {}", name, (*proxy)->port(), ::getpid());
  supervisor.run([&admin] { (*admin)->leave_port(); });
  (*proxy)->join();  // the workers tell events to the admin's readers
  admin->reset();
  proxy->reset();
  spdlog::info("{} has ended", name);
  if (!supervisor.handed_over()) core::say_last_word(lock);
  return 0;
}

int run(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--version") {
    std::printf("hyperdrive-proxy %s\n", HYPERDRIVE_VERSION);
    return 0;
  }
  const auto arguments = read_arguments(argc, argv);
  if (!arguments) {
    std::fputs(kUsage.data(), stderr);
    return 64;
  }
  auto launch = read_launch(arguments->config_fd);
  if (!launch) {
    tell(arguments->ready_fd, core::Ready{false, 0, launch.error(), "config"});
    std::fprintf(stderr, "hyperdrive-proxy: %s\n", launch.error().message.c_str());
    return 1;
  }
  prepare_process(*launch);
  if (arguments->verify) {
    const auto verification = verify_origin(*launch);
    std::printf("%s\n", verification.document.c_str());
    return verification.ok ? 0 : 1;
  }
  auto log = open_log(launch->log_file);
  log_crashes();
  return serve(std::move(*launch), std::move(log), arguments->ready_fd);
}

}  // namespace
}  // namespace hyperdrive::proxy::server

int main(int argc, char** argv) { return hyperdrive::proxy::server::run(argc, argv); }
