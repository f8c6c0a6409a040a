#include "core/config/declaration_value.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "core/config/suggest.hpp"

namespace hyperdrive::core {

DeclaredTable::DeclaredTable(const Json* json, std::string place)
    : json_(json), place_(std::move(place)) {
  if (json_ == nullptr || json_->is_object()) return;
  json_ = nullptr;
  error_ = Error{fmt::format("{} is not a table.", place_), "", code::kNone, Exit::kUsage};
}

void DeclaredTable::fault(std::string_view key, std::string_view what, std::string hint) {
  if (error_) return;
  error_ =
      Error{fmt::format("{}.{} {}", place_, key, what), std::move(hint), code::kNone, Exit::kUsage};
}

const DeclaredTable::Json* DeclaredTable::value(const char* key) {
  known_.insert(key);
  if (json_ == nullptr) return nullptr;
  const auto found = json_->find(key);
  return found == json_->end() || found->is_null() ? nullptr : &*found;
}

bool DeclaredTable::has(const char* key) const {
  return json_ != nullptr && json_->contains(key) && !(*json_)[key].is_null();
}

std::string DeclaredTable::text(const char* key) {
  const Json* json = value(key);
  if (json == nullptr) return "";
  if (json->is_string()) return json->get<std::string>();
  fault(key, "must be text in quotation marks.");
  return "";
}

std::optional<std::int64_t> DeclaredTable::integer(const char* key, std::int64_t low,
                                                   std::int64_t high) {
  const Json* json = value(key);
  if (json == nullptr) return std::nullopt;
  if (json->is_number_integer() && json->get<std::int64_t>() >= low &&
      json->get<std::int64_t>() <= high)
    return json->get<std::int64_t>();
  fault(key, fmt::format("must be a whole number from {} to {}.", low, high));
  return std::nullopt;
}

std::optional<bool> DeclaredTable::boolean(const char* key) {
  const Json* json = value(key);
  if (json == nullptr) return std::nullopt;
  if (json->is_boolean()) return json->get<bool>();
  fault(key, "must be true or false.");
  return std::nullopt;
}

const DeclaredTable::Json* DeclaredTable::table(const char* key) {
  const Json* json = value(key);
  if (json == nullptr || json->is_object()) return json;
  fault(key, "must be a table.");
  return nullptr;
}

Result<void> DeclaredTable::finish() {
  if (error_) return tl::unexpected(*error_);
  if (json_ == nullptr) return {};
  const std::vector<std::string> known(known_.begin(), known_.end());
  for (const auto& [key, unused] : json_->items())
    if (!known_.count(key))
      return usage(fmt::format("{}: there is no key '{}'.", place_, key), did_you_mean(key, known));
  return {};
}

}  // namespace hyperdrive::core
