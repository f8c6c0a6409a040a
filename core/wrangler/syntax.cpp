#include "core/wrangler/syntax.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace hyperdrive::core::wrangler {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::size_t line_begin(std::string_view text, std::size_t at) {
  const std::size_t newline = at == 0 ? kNowhere : text.rfind('\n', at - 1);
  if (newline != kNowhere) return newline + 1;
  return text.starts_with(kByteOrderMark) ? std::min(at, kByteOrderMark.size()) : 0;
}

}  // namespace

std::string apply_plan(std::string_view text, const Plan& plan) {
  std::string result;
  std::size_t at = 0;
  for (const Edit& edit : plan) {
    result.append(text.substr(at, edit.at - at));
    result.append(edit.insert);
    at = edit.at + edit.remove;
  }
  result.append(text.substr(at));
  return result;
}

std::size_t line_of(std::string_view text, std::size_t at) {
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(at, text.size()));
  return 1 + static_cast<std::size_t>(std::count(text.begin(), end, '\n'));
}

tl::unexpected<Error> syntax_error(std::string_view text, std::string_view file, std::size_t at,
                                   const std::string& what) {
  at = std::min(at, text.size());
  return fail(
      fmt::format("{}:{}:{}: {}", file, line_of(text, at), at - line_begin(text, at) + 1, what),
      "Mend the file; nothing was changed.");
}

std::string_view newline_of(std::string_view text) {
  const std::size_t newline = text.find('\n');
  if (newline == kNowhere || newline == 0) return "\n";
  return text[newline - 1] == '\r' ? "\r\n" : "\n";
}

std::string indentation_before(std::string_view text, std::size_t at) {
  const std::size_t begin = line_begin(text, at);
  const std::string_view before = text.substr(begin, at - begin);
  return before.find_first_not_of(" \t") == kNowhere ? std::string(before) : std::string();
}

bool begins_line(std::string_view text, std::size_t at) {
  const std::size_t begin = line_begin(text, at);
  return text.substr(begin, at - begin).find_first_not_of(" \t") == kNowhere;
}

}  // namespace hyperdrive::core::wrangler
