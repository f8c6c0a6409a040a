// Reading a JSON object key by key, with errors that name the place. Internal to core/config.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "core/base/error.hpp"

namespace hyperdrive::core {

/// One table of the file. The first error is kept; `finish` gives it, or names a key that nobody
/// asked for.
class DeclaredTable {
 public:
  using Json = nlohmann::ordered_json;
  /// `place`: "configs[2] 'shop': origin" for errors. A null or missing table reads as empty.
  DeclaredTable(const Json* json, std::string place);

  bool has(const char* key) const;
  std::string text(const char* key);
  std::optional<std::int64_t> integer(const char* key, std::int64_t low, std::int64_t high);
  std::optional<bool> boolean(const char* key);
  /// A table inside of this one; a value of another kind is an error.
  const Json* table(const char* key);
  /// Marks a key as known without reading it.
  void ignore(const char* key) { known_.insert(key); }

  void fault(std::string_view key, std::string_view what, std::string hint = {});
  Result<void> finish();
  const std::string& place() const { return place_; }

 private:
  const Json* value(const char* key);

  const Json* json_;
  std::string place_;
  std::set<std::string, std::less<>> known_;
  std::optional<Error> error_;
};

}  // namespace hyperdrive::core
