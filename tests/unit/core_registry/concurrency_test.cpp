// Several processes on one registry, some of them killed. Seeds are printed by Catch2 (--rng-seed).
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <set>
#include <thread>

#include "core/registry/registry.hpp"
#include "scratch.hpp"

using namespace hyperdrive::core;

namespace {

/// Runs `work` in a process of its own; its exit code is what `work` returns.
pid_t in_process(const std::function<int()>& work) {
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) ::_exit(work());
  return pid;
}

int exit_code(pid_t pid) {
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

TEST_CASE("200 creates by 8 processes, on a registry that none of them finds: 200 rows") {
  Scratch scratch;
  std::vector<pid_t> processes;
  for (int p = 0; p < 8; ++p)
    processes.push_back(in_process([&, p] {
      for (int i = 0; i < 25; ++i) {
        auto registry = Registry::open(scratch.home());
        if (!registry) return 1;
        if (!registry->create(sample("c" + std::to_string(p) + "-" + std::to_string(i)))) return 2;
      }
      return 0;
    }));
  for (const pid_t pid : processes) CHECK(exit_code(pid) == 0);
  auto registry = Registry::open(scratch.home());
  REQUIRE(registry);
  const auto configs = registry->list();
  REQUIRE(configs);
  CHECK(configs->size() == 200);
  std::set<std::string> ids;
  std::set<int> ports;
  for (const Config& config : *configs) {
    ids.insert(config.id);
    ports.insert(config.local.local_port);
    CHECK(registry->launch(config.id)->config.origin.password.reveal() == "pass-" + config.name);
  }
  CHECK(ids.size() == 200);
  CHECK(ports.size() == 200);
}

TEST_CASE("of several creates of one name at once exactly one wins") {
  Scratch scratch;
  for (int round = 0; round < 5; ++round) {
    std::vector<pid_t> processes;
    for (int p = 0; p < 6; ++p)
      processes.push_back(in_process([&] {
        auto registry = Registry::open(scratch.home());
        if (!registry) return 1;
        auto created = registry->create(sample("same" + std::to_string(round)));
        return created ? 0 : created.error().code == code::kNameTaken ? 17 : 2;
      }));
    int won = 0;
    int lost = 0;
    for (const pid_t pid : processes) {
      const int code = exit_code(pid);
      won += code == 0;
      lost += code == 17;
    }
    CHECK(won == 1);
    CHECK(lost == 5);
  }
}

TEST_CASE("kill -9 among writers: the registry is whole, nothing acknowledged is lost") {
  Scratch scratch;
  int acknowledged[2];
  REQUIRE(::pipe(acknowledged) == 0);
  std::vector<pid_t> processes;
  for (int p = 0; p < 4; ++p)
    processes.push_back(in_process([&, p] {
      for (int i = 0;; ++i) {
        auto registry = Registry::open(scratch.home());
        if (!registry) return 1;
        const int number = p * 100'000 + i;
        if (!registry->create(sample("k" + std::to_string(number)))) return 2;
        if (::write(acknowledged[1], &number, sizeof number) != sizeof number) return 3;
        if (i % 3 == 0)
          registry->update("k" + std::to_string(number), [](Config& config) -> Result<void> {
            config.origin.host = "changed.example.com";
            return {};
          });
      }
    }));
  ::close(acknowledged[1]);
  // Reads acknowledgements until enough have come, killing one writer after the other on the way.
  std::set<int> numbers;
  int number = 0;
  while (::read(acknowledged[0], &number, sizeof number) == sizeof number) {
    numbers.insert(number);
    for (std::size_t p = 0; p < processes.size(); ++p)
      if (numbers.size() == 15 * (p + 1)) ::kill(processes[p], SIGKILL);
  }
  ::close(acknowledged[0]);
  for (const pid_t pid : processes) CHECK(exit_code(pid) == 128 + SIGKILL);
  auto registry = Registry::open(scratch.home());
  REQUIRE(registry);
  CHECK(registry->check_integrity().value() == "");
  for (const int wanted : numbers) CHECK(registry->launch("k" + std::to_string(wanted)));
}
