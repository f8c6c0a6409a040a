// The command of `hyperdrive dev -- command…`.
//
// It gets a process group of its own, and the terminal with it if there is one, as a shell would
// give it: Ctrl-C reaches the child and its children once, from the terminal, and not us. Signals
// sent to us alone (by a supervisor, `kill`) are passed on to its group. If we are killed, the
// kernel sends it SIGTERM.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.hpp"

namespace hyperdrive::cli {

using ExtraEnvironment = std::vector<std::pair<std::string, std::string>>;

class Child {
 public:
  /// An error when the program cannot be run (exit code 127 or 126, as a shell's).
  static core::Result<Child> start(const std::vector<std::string>& words,
                                   const ExtraEnvironment& environment);
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();

  /// Its exit code once it has ended (128 + signal if killed by one); waits at most 100 ms. A stop
  /// (Ctrl-Z) stops us as well, and we continue it when we continue.
  std::optional<int> poll();

  /// To its whole process group.
  void send(int signal) const;

 private:
  explicit Child(pid_t pid, bool owns_terminal) : pid_(pid), owns_terminal_(owns_terminal) {}
  void take_terminal_back();

  pid_t pid_ = -1;
  bool owns_terminal_ = false;
};

}  // namespace hyperdrive::cli
