#include "cli/interrupt.hpp"

#include <unistd.h>

#include <atomic>
#include <iterator>

#include "core/base/error.hpp"

namespace hyperdrive::cli {
namespace {

constexpr int kWatched[] = {SIGINT, SIGTERM, SIGHUP};

// Signal handlers can reach nothing but globals.
std::atomic<int> raised_signal{0};
std::atomic<bool> terminal_changed{false};
termios terminal_before{};

void restore_terminal() {
  if (terminal_changed.exchange(false)) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_before);
}

void end_with_130(int) {
  restore_terminal();
  // Only async-signal-safe calls here; the shell's prompt shall begin on a line of its own.
  if (::isatty(STDERR_FILENO) == 1) {
    [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, "\n", 1);
  }
  ::_exit(static_cast<int>(core::Exit::kInterrupted));
}

void raise_flag(int signal) { raised_signal = signal; }

void handle(int signal, void (*handler)(int), struct sigaction* before) {
  struct sigaction action {};
  action.sa_handler = handler;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, before);
}

void change_terminal(tcflag_t off) {
  if (::tcgetattr(STDIN_FILENO, &terminal_before) != 0) return;
  termios changed = terminal_before;
  changed.c_lflag &= ~off;
  terminal_changed = true;
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &changed);
}

}  // namespace

void install_interrupt() {
  handle(SIGINT, end_with_130, nullptr);
  handle(SIGPIPE, SIG_IGN, nullptr);
  handle(SIGXFSZ, SIG_IGN, nullptr);  // a file that must not grow is told of like a full disk
}

InterruptFlag::InterruptFlag() {
  raised_signal = 0;
  for (std::size_t i = 0; i < std::size(kWatched); ++i) {
    handle(kWatched[i], raise_flag, &before_[i]);
  }
}

InterruptFlag::~InterruptFlag() {
  for (std::size_t i = 0; i < std::size(kWatched); ++i) {
    ::sigaction(kWatched[i], &before_[i], nullptr);
  }
}

int InterruptFlag::signal() const { return raised_signal; }

void InterruptFlag::clear() { raised_signal = 0; }

HiddenInput::HiddenInput() { change_terminal(ECHO); }
HiddenInput::~HiddenInput() { restore_terminal(); }

RawKeys::RawKeys() { change_terminal(ECHO | ICANON); }
RawKeys::~RawKeys() { restore_terminal(); }

}  // namespace hyperdrive::cli
