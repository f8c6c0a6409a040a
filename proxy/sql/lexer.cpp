#include "proxy/sql/lexer.hpp"

#include <array>

namespace hyperdrive::proxy::sql {
namespace {

enum : std::uint8_t { kSpaceByte = 1, kWordStart = 2, kWordByte = 4, kDigit = 8 };

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> classes{};
  for (int c : {' ', '\t', '\n', '\r', '\f', '\v'}) classes[c] = kSpaceByte;
  for (int c = '0'; c <= '9'; ++c) classes[c] = kDigit | kWordByte;
  for (int c = 'a'; c <= 'z'; ++c) classes[c] = kWordStart | kWordByte;
  for (int c = 'A'; c <= 'Z'; ++c) classes[c] = kWordStart | kWordByte;
  for (int c = 0x80; c <= 0xff; ++c) classes[c] = kWordStart | kWordByte;
  classes['_'] = kWordStart | kWordByte;
  classes['$'] = kWordByte;
  return classes;
}
constexpr std::array<std::uint8_t, 256> kClasses = make_classes();

bool is(char c, std::uint8_t mask) { return (kClasses[static_cast<unsigned char>(c)] & mask) != 0; }

}  // namespace

bool equals_word(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    if (c != lower[i]) return false;
  }
  return true;
}

Token Lexer::take(TokenKind kind, std::size_t end) {
  Token token{kind, text_.substr(position_, end - position_)};
  position_ = end;
  return token;
}

Token Lexer::next_significant() {
  for (;;) {
    Token token = next();
    if (token.kind != TokenKind::kSpace && token.kind != TokenKind::kLineComment &&
        token.kind != TokenKind::kBlockComment) {
      return token;
    }
  }
}

Token Lexer::next() {
  if (position_ >= text_.size()) return {};
  const char c = text_[position_];
  const char d = position_ + 1 < text_.size() ? text_[position_ + 1] : '\0';
  if (is(c, kSpaceByte)) {
    std::size_t end = position_ + 1;
    while (end < text_.size() && is(text_[end], kSpaceByte)) ++end;
    return take(TokenKind::kSpace, end);
  }
  if (is(c, kWordStart)) return word();
  if (is(c, kDigit) || (c == '.' && is(d, kDigit))) return number();
  if (c == '\'') return string(position_, false, TokenKind::kString);
  if (c == '"') return quoted_name(position_);
  if (c == '$') return dollar();
  if (c == '-' && d == '-') {
    const std::size_t end = text_.find_first_of("\r\n", position_);
    return take(TokenKind::kLineComment, end == std::string_view::npos ? text_.size() : end);
  }
  if (c == '/' && d == '*') return block_comment();
  return take(TokenKind::kSymbol, position_ + 1);
}

Token Lexer::word() {
  const char c = static_cast<char>(text_[position_] | 0x20);
  const std::string_view rest = text_.substr(position_ + 1, 2);
  if (!rest.empty() && rest[0] == '\'') {
    if (c == 'e') return string(position_ + 1, true, TokenKind::kSpecialString);
    if (c == 'b' || c == 'x' || c == 'n') {
      return string(position_ + 1, false, TokenKind::kSpecialString);
    }
  }
  if (c == 'u' && rest == "&'") return string(position_ + 2, false, TokenKind::kSpecialString);
  if (c == 'u' && rest == "&\"") return quoted_name(position_ + 2);
  std::size_t end = position_ + 1;
  while (end < text_.size() && is(text_[end], kWordByte)) ++end;
  return take(TokenKind::kWord, end);
}

Token Lexer::string(std::size_t quote, bool escapes, TokenKind kind) {
  for (std::size_t i = quote + 1; i < text_.size(); ++i) {
    if (escapes && text_[i] == '\\') {
      ++i;
    } else if (text_[i] == '\'') {
      if (i + 1 >= text_.size() || text_[i + 1] != '\'') return take(kind, i + 1);
      ++i;
    }
  }
  return take(TokenKind::kUnterminated, text_.size());
}

Token Lexer::quoted_name(std::size_t quote) {
  for (std::size_t i = quote + 1; i < text_.size(); ++i) {
    if (text_[i] != '"') continue;
    if (i + 1 >= text_.size() || text_[i + 1] != '"') return take(TokenKind::kQuotedName, i + 1);
    ++i;
  }
  return take(TokenKind::kUnterminated, text_.size());
}

Token Lexer::block_comment() {
  std::size_t depth = 1;
  for (std::size_t i = position_ + 2; i + 1 < text_.size(); ++i) {
    if (text_[i] == '/' && text_[i + 1] == '*') {
      ++depth;
      ++i;
    } else if (text_[i] == '*' && text_[i + 1] == '/') {
      ++i;
      if (--depth == 0) return take(TokenKind::kBlockComment, i + 1);
    }
  }
  return take(TokenKind::kUnterminated, text_.size());
}

Token Lexer::dollar() {
  std::size_t end = position_ + 1;
  if (end < text_.size() && is(text_[end], kDigit)) {
    while (end < text_.size() && is(text_[end], kDigit)) ++end;
    return take(TokenKind::kParameter, end);
  }
  if (end < text_.size() && is(text_[end], kWordStart)) {
    while (end < text_.size() && is(text_[end], kWordByte) && text_[end] != '$') ++end;
  }
  if (end >= text_.size() || text_[end] != '$') return take(TokenKind::kSymbol, position_ + 1);
  const std::string_view tag = text_.substr(position_, end + 1 - position_);
  const std::size_t close = text_.find(tag, end + 1);
  if (close == std::string_view::npos) return take(TokenKind::kUnterminated, text_.size());
  return take(TokenKind::kSpecialString, close + tag.size());
}

Token Lexer::number() {
  std::size_t end = position_;
  const auto digits = [&] {
    while (end < text_.size() && is(text_[end], kDigit)) ++end;
  };
  digits();
  TokenKind kind = TokenKind::kInteger;
  // `1..2` is the integer 1 before the PL/pgSQL range operator.
  if (end < text_.size() && text_[end] == '.' && text_.substr(end, 2) != "..") {
    ++end;
    digits();
    kind = TokenKind::kDecimal;
  }
  if (end < text_.size() && is(text_[end], kWordByte)) {
    kind = TokenKind::kOtherNumber;
    while (end < text_.size() &&
           (is(text_[end], kWordByte) || text_[end] == '.' ||
            ((text_[end] == '+' || text_[end] == '-') && (text_[end - 1] | 0x20) == 'e'))) {
      ++end;
    }
  }
  return take(kind, end);
}

}  // namespace hyperdrive::proxy::sql
