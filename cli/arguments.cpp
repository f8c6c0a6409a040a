#include "cli/arguments.hpp"

namespace hyperdrive::cli {

std::optional<std::string> Arguments::text(std::string_view flag) const {
  const auto found = values_.find(flag);
  if (found == values_.end() || found->second.back().empty()) return std::nullopt;
  return found->second.back();
}

std::string Arguments::text_or(std::string_view flag, std::string_view fallback) const {
  return text(flag).value_or(std::string(fallback));
}

std::vector<std::string> Arguments::list(std::string_view flag) const {
  const auto found = values_.find(flag);
  return found == values_.end() ? std::vector<std::string>{} : found->second;
}

std::optional<bool> Arguments::boolean(std::string_view flag) const {
  const auto found = values_.find(flag);
  if (found == values_.end()) return std::nullopt;
  return found->second.back() == "true";
}

bool Arguments::given(std::string_view flag) const { return values_.contains(flag); }

std::string_view Arguments::positional(std::size_t index) const {
  return index < positionals_.size() ? std::string_view(positionals_[index]) : std::string_view();
}

void Arguments::add(std::string_view flag, std::string value) {
  values_[std::string(flag)].push_back(std::move(value));
}

void Arguments::set(std::string_view flag, std::string value) {
  values_[std::string(flag)] = {std::move(value)};
}

}  // namespace hyperdrive::cli
