#include "cli/child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "core/base/file.hpp"

namespace hyperdrive::cli {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(20);
constexpr int kPollsPerCall = 5;

/// Makes `group` the terminal's foreground group; the caller may be in the background by then.
void give_terminal(pid_t group) {
  sigset_t block;
  sigset_t before;
  ::sigemptyset(&block);
  ::sigaddset(&block, SIGTTOU);
  ::pthread_sigmask(SIG_BLOCK, &block, &before);
  ::tcsetpgrp(STDIN_FILENO, group);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

bool in_foreground() {
  return ::isatty(STDIN_FILENO) == 1 && ::tcgetpgrp(STDIN_FILENO) == ::getpgrp();
}

/// Between fork and exec: only async-signal-safe calls. Does not return.
[[noreturn]] void become(char* const* argv, char* const* envp, const char* path, pid_t parent,
                         bool terminal, int report) {
  ::setpgid(0, 0);
  if (terminal) give_terminal(::getpid());
  struct sigaction fresh {};
  fresh.sa_handler = SIG_DFL;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT, SIGTSTP, SIGTTOU}) {
    ::sigaction(signal, &fresh, nullptr);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(1);
  ::execvpe(path, argv, envp);
  const int error = errno;
  [[maybe_unused]] const ssize_t ignored = ::write(report, &error, sizeof error);
  ::_exit(127);
}

std::vector<std::string> merged_environment(const ExtraEnvironment& extra) {
  std::vector<std::string> lines;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view line(*entry);
    bool replaced = false;
    for (const auto& [name, value] : extra) {
      replaced = replaced || line.starts_with(name + "=");
    }
    if (!replaced) lines.emplace_back(line);
  }
  for (const auto& [name, value] : extra) lines.push_back(fmt::format("{}={}", name, value));
  return lines;
}

std::vector<char*> pointers(std::vector<std::string>& lines) {
  std::vector<char*> result;
  for (std::string& line : lines) result.push_back(line.data());
  result.push_back(nullptr);
  return result;
}

core::Error cannot_run(const std::string& program, int error) {
  core::Error failure{fmt::format("Cannot run '{}': {}.", program, core::errno_text(error)),
                      error == ENOENT ? "Is it installed, and in PATH?" : "", core::code::kNone,
                      static_cast<core::Exit>(error == ENOENT ? 127 : 126)};
  return failure;
}

}  // namespace

core::Result<Child> Child::start(const std::vector<std::string>& words,
                                 const ExtraEnvironment& environment) {
  std::vector<std::string> arguments = words;
  std::vector<std::string> variables = merged_environment(environment);
  const auto argv = pointers(arguments);
  const auto envp = pointers(variables);
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) {
    return core::fail(fmt::format("Cannot make a pipe: {}.", core::errno_text(errno)));
  }
  core::Descriptor read_end(report[0]);
  core::Descriptor write_end(report[1]);
  const bool terminal = in_foreground();
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return core::fail(fmt::format("Cannot fork: {}.", core::errno_text(errno)));
  if (pid == 0) become(argv.data(), envp.data(), argv[0], parent, terminal, report[1]);
  // Both sides set the group: whoever comes first, nobody may use it before it is there.
  ::setpgid(pid, pid);
  Child child(pid, terminal);
  write_end.reset();
  int error = 0;
  ssize_t got = 0;
  do {
    got = ::read(read_end.get(), &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  if (got == static_cast<ssize_t>(sizeof error)) {
    ::waitpid(pid, nullptr, 0);
    child.take_terminal_back();
    child.pid_ = -1;
    return tl::unexpected(cannot_run(words[0], error));
  }
  return child;
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      owns_terminal_(std::exchange(other.owns_terminal_, false)) {}

Child::~Child() {
  if (pid_ <= 0) return;
  send(SIGTERM);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  take_terminal_back();
}

void Child::take_terminal_back() {
  if (owns_terminal_) give_terminal(::getpgrp());
}

void Child::send(int signal) const {
  if (pid_ > 0) ::kill(-pid_, signal);
}

std::optional<int> Child::poll() {
  for (int i = 0; i < kPollsPerCall; ++i) {
    int status = 0;
    const pid_t changed = ::waitpid(pid_, &status, WNOHANG | WUNTRACED);
    if (changed == pid_ && WIFSTOPPED(status)) {
      take_terminal_back();
      ::kill(0, SIGSTOP);
      // Continued by the shell: so is the child.
      if (owns_terminal_) give_terminal(pid_);
      send(SIGCONT);
    } else if (changed == pid_) {
      take_terminal_back();
      pid_ = -1;
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    std::this_thread::sleep_for(kPoll);
  }
  return std::nullopt;
}

}  // namespace hyperdrive::cli
