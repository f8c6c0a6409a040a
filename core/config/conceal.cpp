#include "core/config/conceal.hpp"

#include <algorithm>

namespace hyperdrive::core {
namespace {

struct Span {
  std::size_t from;
  std::size_t to;
};

bool of_the_web(std::string_view before) {
  return before.ends_with("http") || before.ends_with("https");
}

/// The password of the first URL at or after `from`. A raw blank or quote may be part of it, so an
/// '@' further on in the text ends it when the word has none: too much hidden beats too little.
/// Not so for the address of an API, whose port is no password.
std::optional<Span> next_password(std::string_view text, std::size_t from) {
  for (auto at = text.find("://", from); at != std::string_view::npos;
       at = text.find("://", at + 3)) {
    const std::size_t start = at + 3;
    const auto colon = text.find(':', start);
    if (colon == std::string_view::npos) return std::nullopt;
    const std::size_t word = std::min(text.find_first_of(" \t\n'\"", start), text.size());
    const auto in_word = text.substr(0, word).rfind('@');
    const bool whole = in_word != std::string_view::npos && in_word > start;
    if (!whole && of_the_web(text.substr(0, at))) continue;
    const auto sign = whole ? in_word : text.find('@', start);
    if (sign == std::string_view::npos) return std::nullopt;
    // `user@host:port` has no password.
    if (colon < sign) return Span{colon + 1, sign};
  }
  return std::nullopt;
}

std::string without_assignments(std::string text) {
  constexpr std::string_view kKey = "password=";
  for (auto at = text.find(kKey); at != std::string::npos; at = text.find(kKey, at)) {
    at += kKey.size();
    const std::size_t end = std::min(text.find_first_of(" \t\n&'\"", at), text.size());
    const bool dashed = at > kKey.size() && text[at - kKey.size() - 1] == '-';
    if (!dashed && end > at) text.replace(at, end - at, "***");
  }
  return text;
}

}  // namespace

std::optional<std::size_t> url_password(std::string_view text) {
  const auto found = next_password(text, 0);
  return found ? std::optional(found->from) : std::nullopt;
}

std::string concealed(std::string_view text) {
  std::string result;
  std::size_t done = 0;
  while (const auto span = next_password(text, done)) {
    const std::string_view secret = text.substr(span->from, span->to - span->from);
    result += text.substr(done, span->from - done);
    result += secret == "password" ? secret : "***";
    done = span->to;
  }
  result += text.substr(done);
  return without_assignments(std::move(result));
}

}  // namespace hyperdrive::core
