#include "core/process/proxy.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/base/handover.hpp"
#include "core/base/last_word.hpp"
#include "core/config/suggest.hpp"
#include "core/config/text.hpp"
#include "core/process/admin_client.hpp"
#include "core/process/files.hpp"
#include "core/process/ports.hpp"
#include "core/process/spawn.hpp"

namespace hyperdrive::core {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;
constexpr Milliseconds kPoll{10};
constexpr Milliseconds kHandoverPatience{3000};
constexpr Milliseconds kSilence{2000};
/// Somewhat more than the proxy waits for the origin.
constexpr Milliseconds kForcePatience{3000};
constexpr Milliseconds kKillPatience{5000};

/// "running" or "draining", in the proxy's own words; nothing when it does not answer.
std::optional<std::string> told_state(const StateFile& state) {
  AdminClient client(state.admin_socket, Milliseconds(300));
  const auto response = client.get("/v1/status");
  if (!response) return std::nullopt;
  const auto status = nlohmann::json::parse(response->body, nullptr, false);
  if (!status.is_object()) return std::nullopt;
  return status.value("state", "");
}

/// A proxy whose starter was killed has no "ready" in its file: then it is asked itself.
bool answers(const StateFile& state) { return told_state(state).has_value(); }

/// The living process that holds the lock, as far as its file tells.
std::optional<StateFile> living_state(const ProxyFiles& files) {
  auto state = read_state(files.state());
  if (state && is_alive(*state)) return state;
  // A restart whose starter was killed before the rename.
  auto next = read_state(files.next_state());
  if (next && is_alive(*next)) return next;
  return std::nullopt;
}

/// Removes what a dead proxy left, unless a new one is being started.
void clean_up(const ProxyFiles& files) {
  auto lock = try_lock(files.lock());
  if (!lock || !*lock) return;
  for (const std::string& path : {files.state(), files.next_state()}) {
    const auto state = read_state(path);
    if (!state) continue;
    for (const std::string& socket : {state->admin_socket, state->handover_socket})
      if (!socket.empty()) ::unlink(socket.c_str());
    ::unlink(path.c_str());
  }
}

/// What the files of a proxy say about its end, while nobody holds its lock.
enum class End { kNoTrace, kInOrder, kCrash };

End end_of(const ProxyFiles& files) {
  const auto word = last_word(files.lock());
  End end = End::kNoTrace;
  // Two: the starter of a restart may have been killed before it renamed the second.
  for (const std::string& path : {files.state(), files.next_state()}) {
    const auto state = read_state(path);
    if (!state) continue;
    if (word == state->pid) return End::kInOrder;
    end = End::kCrash;
  }
  return end;
}

/// The port is somebody else's: says whose, and which one is free.
Error port_in_use(const Config& config, Error error) {
  const std::uint16_t port = config.local.local_port;
  error.message = fmt::format("The proxy cannot listen: {}.", describe_port(port));
  const std::uint16_t next = next_free_port(port);
  error.hint = next == 0 ? "Stop that program, or choose another port: hyperdrive update NAME "
                           "--local-port PORT."
                         : fmt::format(
                               "Stop that program, or move to the next free port: hyperdrive "
                               "update {} --local-port {}.",
                               shell_word(config), next);
  return error;
}

Result<Started> started(const SpawnPlan& plan, const Result<Spawned>& spawned) {
  if (!spawned) return tl::unexpected(spawned.error());
  if (spawned->ready.ready)
    return Started{spawned->pid, spawned->ready.port, plan.launch.admin_socket, false};
  if (spawned->ready.reason == "port_in_use")
    return tl::unexpected(port_in_use(plan.launch.config, spawned->ready.error));
  return tl::unexpected(spawned->ready.error);
}

Result<SpawnPlan> make_plan(const ProxyFiles& files, Launch launch, Milliseconds timeout) {
  auto program = proxy_program();
  if (!program) return tl::unexpected(program.error());
  auto sockets = files.sockets();
  if (!sockets) return tl::unexpected(sockets.error());
  SpawnPlan plan;
  plan.program = *program;
  plan.launch = std::move(launch);
  plan.launch.admin_socket = sockets->admin;
  plan.launch.handover_socket = sockets->handover;
  plan.launch.log_file = files.log();
  plan.state_path = files.state();
  plan.ready_state_path = files.state();
  plan.timeout = timeout;
  return plan;
}

/// The lock for a new proxy, or the proxy that runs already (started here or by another process).
struct Claim {
  Descriptor lock;
  std::optional<StateFile> running;
};

Result<Claim> claim(const Home& home, const std::string& id, const ProxyFiles& files,
                    Milliseconds timeout) {
  const Clock::time_point begin = Clock::now();
  const Clock::time_point deadline = begin + timeout;
  for (;;) {
    auto lock = try_lock(files.lock());
    if (!lock) return tl::unexpected(lock.error());
    if (*lock) return Claim{std::move(*lock), std::nullopt};
    auto state = proxy_state(home, id);
    if (!state) return tl::unexpected(state.error());
    auto file = state->phase == ProxyPhase::kRunning ? living_state(files) : std::nullopt;
    const auto told = file ? told_state(*file) : std::nullopt;
    const bool ending = told == "draining";
    // One that says nothing is about to be gone, or very busy.
    if (file && !ending && (told || Clock::now() > begin + kSilence))
      return Claim{Descriptor(), std::move(file)};
    if (Clock::now() > deadline && ending)
      return fail("The proxy is ending, and waits for running work before it does.",
                  "`hyperdrive stop --force` ends it at once; then start it again.");
    if (Clock::now() > deadline)
      return fail(
          "Another process is starting this proxy and did not finish in time.",
          "`hyperdrive status` and `hyperdrive logs` tell more; `hyperdrive stop` ends it.");
    std::this_thread::sleep_for(kPoll);
  }
}

using Spawn = Result<Spawned> (*)(const SpawnPlan&);

Result<Started> start(const Home& home, Launch launch, Milliseconds timeout, Spawn spawn) {
  const std::string id = launch.config.id;
  const ProxyFiles files(home, id);
  reserve_standard_descriptors();
  if (auto prepared = files.prepare(); !prepared) return tl::unexpected(prepared.error());
  auto claimed = claim(home, id, files, timeout);
  if (!claimed) return tl::unexpected(claimed.error());
  if (claimed->running)
    return Started{claimed->running->pid, claimed->running->port, claimed->running->admin_socket,
                   true};
  auto plan = make_plan(files, std::move(launch), timeout);
  if (!plan) return tl::unexpected(plan.error());
  forget_last_word(claimed->lock.get());
  plan->launch.lock_fd = claimed->lock.get();
  plan->inherited = {claimed->lock.get()};
  return started(*plan, spawn(*plan));
}

// --- restart
// --------------------------------------------------------------------------------------

struct Address {
  std::string host;
  std::string port;
};

std::optional<Address> address_of(int listener) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) != 0) return {};
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (::getnameinfo(reinterpret_cast<sockaddr*>(&address), length, host, sizeof host, port,
                    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return {};
  return Address{host, port};
}

bool has_port(const Address& address, const Config& config) {
  return std::to_string(config.local.local_port) == address.port;
}

bool has_host(const Address& address, const Config& config) {
  // Without one it is these two; 127.0.0.2 is loopback as well, but nobody connects to it then.
  if (config.local.listen.empty()) return address.host == "127.0.0.1" || address.host == "::1";
  return config.local.listen == address.host;
}

Result<Descriptor> wait_for_lock(const std::string& path, Milliseconds timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  for (;;) {
    auto lock = try_lock(path);
    if (!lock || *lock) return lock;
    if (Clock::now() > deadline)
      return fail("Another process is restarting this proxy.", "Try again in a moment.");
    std::this_thread::sleep_for(kPoll);
  }
}

/// From the proxy that has them. If the starter of an earlier restart was killed, that may not be
/// the one of the state file: it has handed over already, and the file is about to be replaced.
Result<Handover> take_listeners(const ProxyFiles& files, StateFile state) {
  const Clock::time_point deadline = Clock::now() + kHandoverPatience;
  for (;;) {
    auto handover = receive_listeners(state.handover_socket);
    if (handover) return handover;
    const auto next = read_state(files.next_state());
    if (next && is_alive(*next)) {
      if (auto taken = receive_listeners(next->handover_socket)) return taken;
    }
    if (Clock::now() > deadline) return handover;
    std::this_thread::sleep_for(kPoll);
    if (auto now = living_state(files)) state = *now;
  }
}

/// The new proxy of a hand-over. Listeners of another address than the config now has stay behind.
Result<Started> succeed(const ProxyFiles& files, Launch launch, Handover handover,
                        const std::string& lineage, const Descriptor& turn, Milliseconds timeout) {
  auto plan = make_plan(files, std::move(launch), timeout);
  if (!plan) return tl::unexpected(plan.error());
  plan->turn = turn.get();
  plan->lineage = lineage;
  plan->state_path = files.next_state();
  plan->launch.lock_fd = handover.lock.get();
  plan->launch.handover_fd = handover.connection.get();
  plan->inherited = {handover.lock.get(), handover.connection.get()};
  const Config& config = plan->launch.config;
  bool port_stays_behind = false;
  for (const Descriptor& listener : handover.listeners) {
    const auto address = address_of(listener.get());
    if (!address || !has_port(*address, config)) continue;
    if (!has_host(*address, config)) {
      port_stays_behind = true;
      continue;
    }
    plan->launch.listen_fds.push_back(listener.get());
    plan->inherited.push_back(listener.get());
  }
  const auto spawned = spawn_detached(*plan);
  if (port_stays_behind && spawned && !spawned->ready.ready &&
      spawned->ready.reason == "port_in_use")
    return fail(fmt::format("The new address ({} port {}) and the one that the running proxy has "
                            "exclude each other, so it cannot be replaced while it runs.",
                            config.local.listen.empty() ? "loopback" : config.local.listen,
                            config.local.local_port),
                fmt::format("It goes on as it was. To change over, which ends its connections: "
                            "hyperdrive stop {0} && hyperdrive start {0}",
                            shell_word(config)));
  return started(*plan, spawned);
}

// --- stop
// -----------------------------------------------------------------------------------------

/// To exactly the process that the file names, not to a later one with its pid.
bool send_signals(const StateFile& state, std::initializer_list<int> signals) {
  Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, state.pid, 0)));
  if (!process || !is_alive(state)) return false;
  return std::all_of(signals.begin(), signals.end(), [&](int number) {
    return ::syscall(SYS_pidfd_send_signal, process.get(), number, nullptr, 0) == 0;
  });
}

/// Ends the proxy that runs now and those that take over from it meanwhile; not one that somebody
/// starts after its end.
Result<bool> end_proxy(const Home& home, const std::string& id, std::initializer_list<int> signals,
                       Milliseconds timeout) {
  const ProxyFiles files(home, id);
  const Clock::time_point deadline = Clock::now() + timeout;
  bool signalled = false;
  pid_t told = 0;
  std::string lineage;
  while (is_locked(files.lock())) {
    const auto state = living_state(files);
    if (state && signalled && state->lineage != lineage) return true;
    if (state && state->pid != told) {
      const bool sent = send_signals(*state, signals);
      if (sent) {
        told = state->pid;
        lineage = state->lineage;
      }
      signalled = signalled || sent;
      if (!sent && is_alive(*state))
        return fail(fmt::format("The proxy (pid {}) cannot be signalled: {}.", state->pid,
                                errno_text(errno)),
                    "It belongs to another user: stop it as that user.");
    }
    // A proxy started by this very process is its child: its end has to be collected.
    if (signalled && state) ::waitpid(state->pid, nullptr, WNOHANG);
    if (Clock::now() > deadline)
      return fail("The proxy has not ended yet: it waits for running work.",
                  "It ends by itself when that is done; --force ends it at once.");
    std::this_thread::sleep_for(kPoll);
  }
  clean_up(files);
  return signalled;
}

}  // namespace

Result<ProxyState> proxy_state(const Home& home, const std::string& id) {
  const ProxyFiles files(home, id);
  ProxyState result;
  while (!is_locked(files.lock())) {
    const End end = end_of(files);
    if (end != End::kNoTrace && is_locked(files.lock())) continue;  // a start has begun meanwhile
    // A crash stays to be told until somebody has started or stopped it.
    if (end == End::kInOrder) clean_up(files);
    result.crashed = end == End::kCrash;
    return result;
  }
  result.phase = ProxyPhase::kStarting;
  const auto state = living_state(files);
  if (!state) return result;
  result.pid = state->pid;
  result.port = state->port;
  result.listen = state->listen;
  result.admin_socket = state->admin_socket;
  result.handover_socket = state->handover_socket;
  result.version = state->version;
  result.started_at = state->started_at;
  if (state->ready || answers(*state)) result.phase = ProxyPhase::kRunning;
  return result;
}

Result<Started> start_proxy(const Home& home, Launch launch, Milliseconds timeout) {
  return start(home, std::move(launch), timeout, spawn_detached);
}

Result<Started> start_attached_proxy(const Home& home, Launch launch, Milliseconds timeout) {
  launch.exit_with_parent = true;
  return start(home, std::move(launch), timeout, spawn_attached);
}

Result<bool> stop_proxy(const Home& home, const std::string& id, Milliseconds timeout) {
  return end_proxy(home, id, {SIGTERM}, timeout);
}

Result<bool> kill_proxy(const Home& home, const std::string& id) {
  const ProxyFiles files(home, id);
  const auto state = is_locked(files.lock()) ? living_state(files) : std::nullopt;
  // The second signal has it cancel what runs, a third one would not wait for that. Two of the same
  // could become one before they are read.
  const bool drains = state && told_state(*state) == "draining";
  auto ended = drains ? end_proxy(home, id, {SIGINT}, kForcePatience)
                      : end_proxy(home, id, {SIGTERM, SIGINT}, kForcePatience);
  if (ended) return ended;
  ended = end_proxy(home, id, {SIGKILL}, kKillPatience);
  return ended ? Result<bool>(true) : ended;
}

Result<Started> restart_proxy(const Home& home, Launch launch, Milliseconds timeout) {
  const std::string id = launch.config.id;
  const ProxyFiles files(home, id);
  reserve_standard_descriptors();
  if (auto prepared = files.prepare(); !prepared) return tl::unexpected(prepared.error());
  auto turn = wait_for_lock(files.restart_lock(), timeout);
  if (!turn) return tl::unexpected(turn.error());
  auto state = is_locked(files.lock()) ? living_state(files) : std::nullopt;
  if (!state) return start_proxy(home, std::move(launch), timeout);
  auto handover = take_listeners(files, *state);
  if (!handover) return tl::unexpected(handover.error());
  return succeed(files, std::move(launch), std::move(*handover), state->lineage, *turn, timeout);
}

Result<void> forget_proxy(const Home& home, const std::string& id) {
  const ProxyFiles files(home, id);
  if (::access(home.run().c_str(), F_OK) == 0) {
    clean_up(files);
    auto lock = try_lock(files.lock());
    if (!lock) return tl::unexpected(lock.error());
    if (!*lock) return fail("The proxy is running.", "Stop it first: hyperdrive stop NAME.");
    ::unlink(files.restart_lock().c_str());
    ::unlink(files.lock().c_str());
  }
  ::unlink(files.log().c_str());
  ::unlink((files.log() + ".1").c_str());
  return {};
}

std::string log_path(const Home& home, const std::string& id) { return ProxyFiles(home, id).log(); }

}  // namespace hyperdrive::core
