// Which session a cancel request means. Keys are our own and random, never the origin's. A process
// id is random too, and larger than any of a real process, unless the session has a connection of
// its own (policy `pin`): then it is that one's, so that pg_backend_pid() and NOTIFY agree with it.
//
// Shared by all workers; the lock is taken at logins, logouts and cancels only.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace hyperdrive::proxy::session::postgres {

struct CancelKey {
  std::uint32_t process_id = 0;
  std::string key;
};

class CancelKeys {
 public:
  /// A new identity for a session of `worker`, its key `size` random bytes long. `wanted`: the
  /// process id it should have if no other session has it; 0: any.
  CancelKey issue(std::size_t worker, std::size_t size, std::uint32_t wanted = 0);
  void withdraw(std::uint32_t process_id);
  /// The worker of the session with this process id.
  std::optional<std::size_t> worker_of(std::uint32_t process_id) const;
  /// The worker of the session that this key belongs to; compares in constant time. However many
  /// come with wrong keys, a right one is heard: what a wrong one costs is this look.
  std::optional<std::size_t> find(std::uint32_t process_id, std::string_view key) const;

 private:
  struct Entry {
    std::string key;
    std::size_t worker;
  };
  mutable std::mutex mutex_;
  std::unordered_map<std::uint32_t, Entry> entries_;
};

}  // namespace hyperdrive::proxy::session::postgres
