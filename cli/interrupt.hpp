// Ctrl-C: a command ends with exit code 130 and leaves the terminal as it found it. Commands that
// have something to finish first (dev, stats --watch, logs -f) hold an InterruptFlag meanwhile.
#pragma once

#include <signal.h>
#include <termios.h>

namespace hyperdrive::cli {

/// At the program's start: SIGINT restores the terminal and exits with 130; SIGPIPE is ignored.
void install_interrupt();

/// While alive, SIGINT, SIGTERM and SIGHUP only set a flag.
class InterruptFlag {
 public:
  InterruptFlag();
  ~InterruptFlag();
  InterruptFlag(const InterruptFlag&) = delete;
  InterruptFlag& operator=(const InterruptFlag&) = delete;

  bool raised() const { return signal() != 0; }
  /// The last signal that came, or 0.
  int signal() const;
  void clear();

 private:
  struct sigaction before_[3];
};

/// While alive, the terminal does not show what is typed.
class HiddenInput {
 public:
  HiddenInput();
  ~HiddenInput();
  HiddenInput(const HiddenInput&) = delete;
  HiddenInput& operator=(const HiddenInput&) = delete;
};

/// While alive, single key presses can be read and are not shown (`top`).
class RawKeys {
 public:
  RawKeys();
  ~RawKeys();
  RawKeys(const RawKeys&) = delete;
  RawKeys& operator=(const RawKeys&) = delete;
};

}  // namespace hyperdrive::cli
