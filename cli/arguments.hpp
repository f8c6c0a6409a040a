// The parsed command line of one command. Values are text; empty text counts as not given, as in
// wrangler.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hyperdrive::cli {

class Arguments {
 public:
  /// The value of a text or number flag.
  std::optional<std::string> text(std::string_view flag) const;
  std::string text_or(std::string_view flag, std::string_view fallback) const;
  /// Every occurrence of a repeatable flag.
  std::vector<std::string> list(std::string_view flag) const;
  /// A boolean flag: unset, true or false.
  std::optional<bool> boolean(std::string_view flag) const;
  bool on(std::string_view flag) const { return boolean(flag).value_or(false); }
  bool given(std::string_view flag) const;

  /// Empty when there are fewer.
  std::string_view positional(std::size_t index) const;
  const std::vector<std::string>& positionals() const { return positionals_; }
  /// What follows `--`.
  const std::vector<std::string>& rest() const { return rest_; }

  void add(std::string_view flag, std::string value);
  void set(std::string_view flag, std::string value);
  void add_positional(std::string value) { positionals_.push_back(std::move(value)); }
  void set_rest(std::vector<std::string> rest) { rest_ = std::move(rest); }

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  std::vector<std::string> positionals_;
  std::vector<std::string> rest_;
};

}  // namespace hyperdrive::cli
