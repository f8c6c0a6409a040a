#include "proxy/session/postgres/cancel_keys.hpp"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <cstdlib>

namespace hyperdrive::proxy::session::postgres {
namespace {

std::string random_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  // Without randomness there are no secrets: nothing sensible can be done but stop.
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(size)) != 1) {
    std::abort();
  }
  return bytes;
}

/// PID_MAX_LIMIT of 64-bit Linux: no process of the origin's has a higher number.
constexpr std::uint32_t kMaxRealProcess = 1U << 22;

}  // namespace

CancelKey CancelKeys::issue(std::size_t worker, std::size_t size, std::uint32_t wanted) {
  CancelKey issued;
  issued.key = random_bytes(size);
  const std::lock_guard lock(mutex_);
  if (wanted != 0 && entries_.try_emplace(wanted, Entry{issued.key, worker}).second) {
    issued.process_id = wanted;
    return issued;
  }
  while (true) {
    const std::string four = random_bytes(4);
    std::uint32_t id = 0;
    for (const char c : four) id = id << 8 | static_cast<unsigned char>(c);
    id &= 0x7fffffff;  // clients print it as a positive number
    if (id <= kMaxRealProcess || !entries_.try_emplace(id, Entry{issued.key, worker}).second)
      continue;
    issued.process_id = id;
    return issued;
  }
}

void CancelKeys::withdraw(std::uint32_t process_id) {
  const std::lock_guard lock(mutex_);
  entries_.erase(process_id);
}

std::optional<std::size_t> CancelKeys::worker_of(std::uint32_t process_id) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(process_id);
  if (found == entries_.end()) return std::nullopt;
  return found->second.worker;
}

std::optional<std::size_t> CancelKeys::find(std::uint32_t process_id, std::string_view key) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(process_id);
  if (found != entries_.end() && found->second.key.size() == key.size() &&
      CRYPTO_memcmp(found->second.key.data(), key.data(), key.size()) == 0) {
    return found->second.worker;
  }
  return std::nullopt;
}

}  // namespace hyperdrive::proxy::session::postgres
