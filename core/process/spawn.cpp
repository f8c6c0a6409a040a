#include "core/process/spawn.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/time.hpp"
#include "core/config/json.hpp"

extern char** environ;

namespace hyperdrive::core {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMaxReadyLine = 64 * 1024;
constexpr off_t kMaxLog = 8 << 20;

struct Pipe {
  Descriptor reader;
  Descriptor writer;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return fail(fmt::format("No pipe could be made: {}.", errno_text(errno)));
  return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

/// Everything the child needs, made before fork: after it, only system calls.
struct Prepared {
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  std::vector<char*> argv;
  std::vector<char*> envp;
  Descriptor config;
  Pipe ready;
  StateFile state;
};

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& string : strings) result.push_back(string.data());
  result.push_back(nullptr);
  return result;
}

Result<Prepared> prepare(const SpawnPlan& plan) {
  auto config = filled_pipe(launch_json(plan.launch));
  if (!config) return tl::unexpected(config.error());
  auto ready = make_pipe();
  if (!ready) return tl::unexpected(ready.error());
  Prepared prepared;
  prepared.arguments = {plan.program, "--config-fd", std::to_string(config->get()), "--ready-fd",
                        std::to_string(ready->writer.get())};
  prepared.environment = proxy_environment();
  prepared.config = std::move(*config);
  prepared.ready = std::move(*ready);
  prepared.state.port = plan.launch.config.local.local_port;
  prepared.state.listen = plan.launch.config.local.listen;
  prepared.state.admin_socket = plan.launch.admin_socket;
  prepared.state.handover_socket = plan.launch.handover_socket;
  prepared.state.version = HYPERDRIVE_VERSION;
  prepared.state.started_at = now_rfc3339();
  return prepared;
}

void move_large_log(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) == 0 && status.st_size > kMaxLog)
    ::rename(path.c_str(), (path + ".1").c_str());
}

void redirect_output(const std::string& log) {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  int output =
      log.empty() ? null : ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (output < 0) output = null;
  ::dup2(null, 0);
  ::dup2(output, 1);
  ::dup2(output, 2);
}

void reset_signals() {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
}

/// Closes every descriptor above 2 that is not in `keep`, and lets those in `keep` survive exec.
void keep_only(std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned first = 3;
  for (const int fd : keep) {
    if (fd < static_cast<int>(first)) continue;
    if (fd > static_cast<int>(first)) ::syscall(SYS_close_range, first, fd - 1, 0);
    ::fcntl(fd, F_SETFD, 0);
    first = static_cast<unsigned>(fd) + 1;
  }
  ::syscall(SYS_close_range, first, ~0u, 0);
}

/// In the new process, which becomes no proxy: says why instead of one.
[[noreturn]] void give_up(Prepared& prepared, int exit_code, std::string why, std::string next) {
  const Ready failed{false, 0, Error{std::move(why), std::move(next), code::kNone, Exit::kError},
                     ""};
  write_all(prepared.ready.writer.get(), ready_line(failed));
  ::_exit(exit_code);
}

/// What others learn about the new process.
StateFile state_of(const SpawnPlan& plan, const Prepared& prepared, pid_t pid) {
  StateFile state = prepared.state;
  state.pid = pid;
  state.start_time = process_start_time(pid).value_or(0);
  state.lineage = plan.lineage.empty() ? lineage_of(pid, state.start_time) : plan.lineage;
  return state;
}

/// In the new process: states its own pid where others find it, then becomes the proxy.
[[noreturn]] void become_proxy(const SpawnPlan& plan, Prepared& prepared) {
  const StateFile state = state_of(plan, prepared, ::getpid());
  const auto stated = write_file_atomically(plan.state_path, print_state(state));
  if (!stated)
    give_up(prepared, 74, "The proxy did not start: " + stated.error().message,
            stated.error().hint);
  redirect_output(plan.launch.log_file);
  reset_signals();
  ::umask(077);
  if (::chdir("/") != 0) ::_exit(74);
  std::vector<int> keep = plan.inherited;
  keep.push_back(prepared.config.get());
  keep.push_back(prepared.ready.writer.get());
  prepared.argv = pointers(prepared.arguments);
  prepared.envp = pointers(prepared.environment);
  keep_only(std::move(keep));
  ::execve(plan.program.c_str(), prepared.argv.data(), prepared.envp.data());
  give_up(prepared, 127, fmt::format("{} cannot be run: {}.", plan.program, errno_text(errno)),
          "Install hyperdrive-proxy beside hyperdrive, or set HYPERDRIVE_PROXY.");
}

struct Line {
  std::string text;  ///< empty: none came
  bool timed_out = false;
};

/// One line from `fd`, which may end or stay silent instead.
Line read_line(int fd, std::chrono::milliseconds timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  std::string line;
  while (line.size() < kMaxReadyLine) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd entry{fd, POLLIN, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return {"", true};
    char chunk[4096];
    const ssize_t got = ::read(fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return {};
    line.append(chunk, static_cast<std::size_t>(got));
    if (const std::size_t end = line.find('\n'); end != std::string::npos)
      return {line.substr(0, end), false};
  }
  return {};
}

/// Waits for the end of a proxy that did not get ready (at most 2 s, then it is killed).
std::string ending_of(pid_t pid) {
  int status = 0;
  const Clock::time_point deadline = Clock::now() + std::chrono::seconds(2);
  while (::waitpid(pid, &status, WNOHANG) == 0) {
    if (Clock::now() > deadline) ::kill(pid, SIGKILL);
    ::usleep(2000);
  }
  if (WIFSIGNALED(status)) return fmt::format("it was ended by signal {}", WTERMSIG(status));
  return fmt::format("it ended with exit code {}", WEXITSTATUS(status));
}

/// The last three, each on a line of its own below what stands before them.
std::string last_log_lines(const std::string& path) {
  auto text = read_file(path);
  if (!text) return "";
  while (text->ends_with('\n')) text->pop_back();
  if (text->empty()) return "";
  text->insert(0, "\n");
  std::size_t begin = text->size();
  for (int lines = 0; lines < 3 && begin != 0; ++lines) begin = text->rfind('\n', begin - 1);
  return text->substr(begin);
}

/// Waits until the child `pid` is ready; the state file then says so too.
Ready await_ready(const SpawnPlan& plan, Prepared& prepared, pid_t pid) {
  prepared.ready.writer.reset();
  prepared.config.reset();
  const Line line = read_line(prepared.ready.reader.get(), plan.timeout);
  Ready ready;
  if (!line.text.empty()) {
    if (auto parsed = parse_ready(line.text))
      ready = std::move(*parsed);
    else
      ready.error = parsed.error();
  }
  if (!ready.ready) {
    if (line.timed_out) ::kill(pid, SIGTERM);
    const std::string how = ending_of(pid);
    if (ready.error.message.empty())
      ready.error = Error{fmt::format("The proxy did not start: {}.",
                                      line.timed_out ? "it was not ready in time" : how),
                          fmt::format("Its log is {}.{}", plan.launch.log_file,
                                      last_log_lines(plan.launch.log_file)),
                          code::kNone, Exit::kError};
    ::unlink(plan.state_path.c_str());
    return ready;
  }
  StateFile state = state_of(plan, prepared, pid);
  state.port = ready.port;
  state.ready = true;
  write_file_atomically(plan.state_path, print_state(state));
  if (plan.state_path != plan.ready_state_path)
    ::rename(plan.state_path.c_str(), plan.ready_state_path.c_str());
  return ready;
}

/// The starter: parent of the proxy until it is ready. Tells the CLI pid and ready line.
[[noreturn]] void run_starter(const SpawnPlan& plan, Prepared& prepared, int answer) {
  ::setsid();
  redirect_output("");
  std::vector<int> keep = plan.inherited;
  if (plan.turn >= 0) keep.push_back(plan.turn);
  keep.insert(keep.end(), {answer, prepared.config.get(), prepared.ready.reader.get(),
                           prepared.ready.writer.get()});
  keep_only(std::move(keep));
  const pid_t proxy = ::fork();
  if (proxy == 0) become_proxy(plan, prepared);
  // The lock and the listeners are the proxy's alone from here on.
  for (const int fd : plan.inherited) ::close(fd);
  Ready ready;
  if (proxy > 0)
    ready = await_ready(plan, prepared, proxy);
  else
    ready.error.message = fmt::format("No process could be made: {}.", errno_text(errno));
  write_all(answer, fmt::format("{} {}", proxy, ready_line(ready)));
  ::_exit(0);
}

}  // namespace

Result<Descriptor> filled_pipe(const Secret& content) {
  auto pipe = make_pipe();
  if (!pipe) return tl::unexpected(pipe.error());
  const std::string_view text = content.reveal();
  if (text.size() > 32 * 1024)
    ::fcntl(pipe->writer.get(), F_SETPIPE_SZ, static_cast<int>(text.size() * 2));
  ::fcntl(pipe->writer.get(), F_SETFL, O_NONBLOCK);
  if (const int error = write_all(pipe->writer.get(), text); error != 0)
    return fail(fmt::format("The configuration ({} bytes) does not fit into a pipe: {}.",
                            text.size(), errno_text(error)),
                "Use shorter certificate chains or fewer cache rules.");
  return std::move(pipe->reader);
}

std::vector<std::string> proxy_environment() {
  constexpr std::array<std::string_view, 14> kNames = {"HYPERDRIVE_LOOP",
                                                       "PATH",
                                                       "HOME",
                                                       "LANG",
                                                       "TZ",
                                                       "TMPDIR",
                                                       "XDG_RUNTIME_DIR",
                                                       "SSL_CERT_FILE",
                                                       "SSL_CERT_DIR",
                                                       "LD_LIBRARY_PATH",
                                                       "OPENSSL_CONF",
                                                       "RES_OPTIONS",
                                                       "LOCALDOMAIN",
                                                       "USER"};
  constexpr std::array<std::string_view, 6> kPrefixes = {
      "LC_", "HYPERDRIVE_PROXY_", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"};
  std::vector<std::string> result;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    const bool wanted =
        std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
        std::any_of(kPrefixes.begin(), kPrefixes.end(),
                    [&](std::string_view prefix) { return name.starts_with(prefix); });
    if (wanted) result.emplace_back(text);
  }
  return result;
}

Result<Spawned> spawn_detached(const SpawnPlan& plan) {
  auto prepared = prepare(plan);
  if (!prepared) return tl::unexpected(prepared.error());
  auto answer = make_pipe();
  if (!answer) return tl::unexpected(answer.error());
  move_large_log(plan.launch.log_file);
  const pid_t starter = ::fork();
  if (starter < 0) return fail(fmt::format("No process could be made: {}.", errno_text(errno)));
  if (starter == 0) run_starter(plan, *prepared, answer->writer.get());
  answer->writer.reset();
  prepared->ready = Pipe();  // its end of file must mean that the proxy is gone
  // The starter keeps the time; this limit is for a starter that somebody killed.
  const std::string line =
      read_line(answer->reader.get(), plan.timeout + std::chrono::seconds(5)).text;
  while (::waitpid(starter, nullptr, 0) < 0 && errno == EINTR) {
  }
  const std::size_t blank = line.find(' ');
  if (blank == std::string::npos)
    return fail("The start of the proxy was interrupted.",
                "Run `hyperdrive status` and try again.");
  auto ready = parse_ready(line.substr(blank + 1));
  if (!ready) return tl::unexpected(ready.error());
  return Spawned{static_cast<pid_t>(std::atol(line.c_str())), std::move(*ready)};
}

Result<Spawned> spawn_attached(const SpawnPlan& plan) {
  auto prepared = prepare(plan);
  if (!prepared) return tl::unexpected(prepared.error());
  move_large_log(plan.launch.log_file);
  const pid_t parent = ::getpid();
  const pid_t proxy = ::fork();
  if (proxy < 0) return fail(fmt::format("No process could be made: {}.", errno_text(errno)));
  if (proxy == 0) {
    ::setpgid(0, 0);  // Ctrl-C is for this program, which then stops the proxy in order
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(0);
    become_proxy(plan, *prepared);
  }
  return Spawned{proxy, await_ready(plan, *prepared, proxy)};
}

}  // namespace hyperdrive::core
