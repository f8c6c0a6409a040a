#include "proxy/server/crash.hpp"

#include <execinfo.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <new>
#include <string_view>

namespace hyperdrive::proxy::server {
namespace {

void say(std::string_view text) {
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

/// Async-signal-safe: write(2), and backtrace(), whose library log_crashes() has loaded.
void last_words(int number) {
  say("hyperdrive-proxy: killed by a fault of its own, SIG");
  const char* name = ::sigabbrev_np(number);
  say(name != nullptr ? name : "?");
  say(". Please report this with the lines below.\n");
  std::array<void*, 48> frames{};
  ::backtrace_symbols_fd(frames.data(), ::backtrace(frames.data(), frames.size()), STDERR_FILENO);
  ::raise(number);  // SA_RESETHAND: the default action now
}

/// No fault of its own, so no call for a report: what could not be had may be anybody's next bytes.
void out_of_memory() {
  say("hyperdrive-proxy: no more memory can be had (ulimit -v, or the machine is short of it); "
      "ending. Start it again with more, or with a smaller --cache-size.\n");
  ::_exit(1);
}

}  // namespace

void log_crashes() {
  std::set_new_handler(out_of_memory);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  std::array<void*, 1> frame{};
  ::backtrace(frame.data(), frame.size());
  struct sigaction action {};
  action.sa_handler = last_words;
  action.sa_flags = SA_RESETHAND | SA_NODEFER;
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    ::sigaction(number, &action, nullptr);
  }
#endif
}

}  // namespace hyperdrive::proxy::server
