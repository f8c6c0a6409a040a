#include "proxy/sql/hints.hpp"

#include <charconv>

#include "proxy/sql/lexer.hpp"

namespace hyperdrive::proxy::sql {
namespace {

constexpr std::string_view kPrefix = "hyperdrive:";

std::optional<int> seconds(std::string_view digits) {
  int value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (value < 0 || value > kMaxHintSeconds) return std::nullopt;
  return value;
}

bool is_tag(std::string_view tag) {
  if (tag.empty() || tag.size() > 64) return false;
  for (const char c : tag) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '-' || c == '.' || c == ':';
    if (!good) return false;
  }
  return true;
}

/// Whether the hint was understood.
bool apply(std::string_view hint, Hints& hints) {
  const std::size_t equals = hint.find('=');
  const std::string_view key = hint.substr(0, equals);
  if (equals == std::string_view::npos) {
    if (!equals_word(key, "no-cache")) return false;
    hints.no_cache = true;
    return true;
  }
  const std::string_view value = hint.substr(equals + 1);
  if (equals_word(key, "max-age")) {
    const std::optional<int> age = seconds(value);
    if (age) hints.max_age = age;
    return age.has_value();
  }
  if (equals_word(key, "swr")) {
    const std::optional<int> time = seconds(value);
    if (time) hints.stale_while_revalidate = time;
    return time.has_value();
  }
  if (!equals_word(key, "tag") || !is_tag(value)) return false;
  hints.tags.emplace_back(value);
  return true;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n\f\v";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) + 1 - begin);
}

void read_comment(const Token& token, Hints& hints) {
  std::string_view body = token.text.substr(2);
  if (token.kind == TokenKind::kBlockComment) body.remove_suffix(2);
  body = trim(body);
  if (body.size() < kPrefix.size() || !equals_word(body.substr(0, kPrefix.size()), kPrefix)) return;
  body.remove_prefix(kPrefix.size());
  constexpr std::string_view kBetween = ", \t\r\n\f\v";
  for (std::size_t at = body.find_first_not_of(kBetween); at != std::string_view::npos;
       at = body.find_first_not_of(kBetween, at)) {
    const std::size_t end = std::min(body.find_first_of(kBetween, at), body.size());
    const std::string_view hint = body.substr(at, end - at);
    if (!apply(hint, hints)) hints.invalid.emplace_back(hint);
    at = end;
  }
}

}  // namespace

Hints read_hints(std::string_view text) {
  Hints hints;
  // A word that is nowhere needs no reading; most texts end here.
  if (text.find("yperdrive") == std::string_view::npos &&
      text.find("YPERDRIVE") == std::string_view::npos) {
    return hints;
  }
  Lexer lexer(text);
  std::vector<Token> trailing;
  bool at_start = true;
  for (Token token = lexer.next(); token.kind != TokenKind::kEnd; token = lexer.next()) {
    if (token.kind == TokenKind::kLineComment || token.kind == TokenKind::kBlockComment) {
      if (at_start) {
        read_comment(token, hints);
      } else {
        trailing.push_back(token);
      }
    } else if (token.kind != TokenKind::kSpace && token.text != ";") {
      at_start = false;
      trailing.clear();
    }
  }
  for (const Token& token : trailing) read_comment(token, hints);
  return hints;
}

}  // namespace hyperdrive::proxy::sql
