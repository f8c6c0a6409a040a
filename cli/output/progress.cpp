#include "cli/output/progress.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/base/file.hpp"

namespace hyperdrive::cli {
namespace {

constexpr auto kPatience = std::chrono::seconds(1);
constexpr auto kStep = std::chrono::milliseconds(100);
constexpr std::array kFrames = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};

}  // namespace

struct Progress::Spinner {
  explicit Spinner(std::string text) : doing(std::move(text)), thread([this] { spin(); }) {}

  ~Spinner() {
    {
      const std::lock_guard lock(mutex);
      done = true;
    }
    changed.notify_all();
    thread.join();
  }

  void spin() {
    // Signals belong to the main thread.
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    std::unique_lock lock(mutex);
    const auto begin = std::chrono::steady_clock::now();
    if (changed.wait_for(lock, kPatience, [this] { return done; })) return;
    for (std::size_t frame = 0;; ++frame) {
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(
          std::chrono::steady_clock::now() - begin);
      core::write_all(STDERR_FILENO, fmt::format("\r{} {} ({} s)", kFrames[frame % kFrames.size()],
                                                 doing, seconds.count()));
      if (changed.wait_for(lock, kStep, [this] { return done; })) break;
    }
    core::write_all(STDERR_FILENO, "\r\x1b[K");
  }

  std::string doing;
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  std::thread thread;
};

Progress::Progress(const Output& out, std::string doing) {
  if (out.error_terminal() && !out.quiet() && !out.json()) {
    spinner_ = std::make_unique<Spinner>(std::move(doing));
  }
}

Progress::~Progress() = default;

}  // namespace hyperdrive::cli
