#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "core/config/json.hpp"
#include "core/process/proxy.hpp"
#include "core/process/spawn.hpp"

namespace hyperdrive::core {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMaxReport = 4u << 20;

struct Output {
  std::string report;  ///< standard output
  std::string errors;  ///< standard error
  bool timed_out = false;
};

/// Reads both streams to their ends.
Output collect(int out, int err, Clock::time_point deadline) {
  Output output;
  pollfd entries[2] = {{out, POLLIN, 0}, {err, POLLIN, 0}};
  while (entries[0].fd >= 0 || entries[1].fd >= 0) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    const int ready = left > 0 ? ::poll(entries, 2, static_cast<int>(left)) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      output.timed_out = true;
      return output;
    }
    for (pollfd& entry : entries) {
      if (entry.fd < 0 || entry.revents == 0) continue;
      char chunk[4096];
      const ssize_t got = ::read(entry.fd, chunk, sizeof chunk);
      std::string& target = entry.fd == out ? output.report : output.errors;
      if (got <= 0 || target.size() > kMaxReport)
        entry.fd = -1;
      else
        target.append(chunk, static_cast<std::size_t>(got));
    }
  }
  return output;
}

struct FileActions {
  FileActions() { ::posix_spawn_file_actions_init(&value); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&value); }
  posix_spawn_file_actions_t value;
};

Result<pid_t> spawn_verifier(const std::string& program, int config, int out, int err) {
  // POSIX: a dup2 action onto itself takes close-on-exec away.
  FileActions actions;
  ::posix_spawn_file_actions_adddup2(&actions.value, out, 1);
  ::posix_spawn_file_actions_adddup2(&actions.value, err, 2);
  ::posix_spawn_file_actions_adddup2(&actions.value, config, config);
  ::posix_spawn_file_actions_addopen(&actions.value, 0, "/dev/null", O_RDONLY, 0);
  std::vector<std::string> arguments = {program, "--verify", "--config-fd", std::to_string(config)};
  std::vector<std::string> environment = proxy_environment();
  std::vector<char*> argv, envp;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  for (std::string& entry : environment) envp.push_back(entry.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  pid_t pid = 0;
  const int error =
      ::posix_spawn(&pid, program.c_str(), &actions.value, nullptr, argv.data(), envp.data());
  if (error != 0)
    return fail(fmt::format("{} cannot be run: {}.", program, errno_text(error)),
                "Install hyperdrive-proxy beside hyperdrive, or set HYPERDRIVE_PROXY.");
  return pid;
}

std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

}  // namespace

Result<std::string> verify_origin(const Launch& launch, std::chrono::milliseconds timeout) {
  reserve_standard_descriptors();
  auto program = proxy_program();
  if (!program) return tl::unexpected(program.error());
  auto config = filled_pipe(launch_json(launch));
  if (!config) return tl::unexpected(config.error());
  int out[2], err[2];
  if (::pipe2(out, O_CLOEXEC) != 0) return fail("No pipe could be made.");
  Descriptor out_reader(out[0]), out_writer(out[1]);
  if (::pipe2(err, O_CLOEXEC) != 0) return fail("No pipe could be made.");
  Descriptor err_reader(err[0]), err_writer(err[1]);
  auto pid = spawn_verifier(*program, config->get(), out_writer.get(), err_writer.get());
  if (!pid) return tl::unexpected(pid.error());
  out_writer.reset();
  err_writer.reset();

  const Output output = collect(out_reader.get(), err_reader.get(), Clock::now() + timeout);
  if (output.timed_out) ::kill(*pid, SIGKILL);
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (output.timed_out)
    return fail(fmt::format("The verification took longer than {} s.", timeout.count() / 1000),
                "Try again, or skip it with --no-verify.");
  if (output.report.find('{') != std::string::npos) return output.report;
  const std::string words = last_line(output.errors);
  return fail(fmt::format("hyperdrive-proxy --verify ended without a report ({}){}{}",
                          WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status))
                                              : fmt::format("exit code {}", WEXITSTATUS(status)),
                          words.empty() ? "." : ": ", words),
              "Check that hyperdrive and hyperdrive-proxy are of the same version.");
}

}  // namespace hyperdrive::core
