// The last word of a proxy: that it ended in order. Whoever finds its state file afterwards can
// tell such an end (SIGTERM from anybody, the end of its `hyperdrive dev`) from a crash.
//
// It stands in the lock file (run/<id>.lock), through the descriptor that holds the lock: so nobody
// else writes there, no path has to be known, and it is there before the lock is free. It names the
// pid, as the file of an earlier proxy must not speak for a later one.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace hyperdrive::core {

/// By the proxy itself, as the last thing that it does. -1: it has no lock, and says nothing.
void say_last_word(int lock_fd);

/// By whoever has taken the lock for a new proxy.
void forget_last_word(int lock_fd);

/// Whose last word stands in the lock file, if any.
std::optional<pid_t> last_word(const std::string& lock_path);

}  // namespace hyperdrive::core
