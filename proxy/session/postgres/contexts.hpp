// Short names for what is long and the same in most keys: who asks, under which settings. A name is
// given once and for good, so that equal names mean equal bytes: keys that hold it are still
// compared in full.
//
// One per process; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace hyperdrive::proxy::session::postgres {

class Contexts {
 public:
  /// Ten bytes or so. When clients have invented too many, the bytes themselves come back.
  std::string name(const std::string& context) {
    const std::lock_guard lock(mutex_);
    const auto known = numbers_.find(context);
    if (known == numbers_.end() && numbers_.size() >= kMost) return kInFull + context;
    const std::uint64_t number = known != numbers_.end()
                                     ? known->second
                                     : numbers_.emplace(context, numbers_.size()).first->second;
    return std::string(reinterpret_cast<const char*>(&number), sizeof number);
  }

 private:
  static constexpr std::size_t kMost = 4096;
  /// Longer than a number, so that neither is taken for the other.
  inline static const std::string kInFull = "in full: ";
  std::mutex mutex_;
  std::unordered_map<std::string, std::uint64_t> numbers_;
};

}  // namespace hyperdrive::proxy::session::postgres
