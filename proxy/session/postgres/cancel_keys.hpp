// Which session a cancel request means: our own random process ids and keys, never the origin's.
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
  /// A new identity for a session of `worker`, its key `size` random bytes long.
  CancelKey issue(std::size_t worker, std::size_t size);
  void withdraw(std::uint32_t process_id);
  /// The worker of the session that this key belongs to; compares in constant time.
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
