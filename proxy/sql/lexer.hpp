// The lexical rules of Postgres (https://www.postgresql.org/docs/15/sql-syntax-lexical.html), as
// far as telling tokens apart goes: for texts that are too large to parse, for control comments,
// and for the literal-blind scan. Never fails: any bytes make some tokens. About a nanosecond a
// byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hyperdrive::proxy::sql {

enum class TokenKind : std::uint8_t {
  kEnd,
  kSpace,
  kLineComment,
  kBlockComment,
  kWord,           ///< keyword or identifier
  kQuotedName,     ///< "x", U&"x"
  kString,         ///< 'x'
  kSpecialString,  ///< E'x', B'x', X'x', N'x', U&'x', $$x$$
  kInteger,
  kDecimal,       ///< digits with a point and no exponent
  kOtherNumber,   ///< exponents, hexadecimals, underscores, junk behind digits
  kParameter,     ///< $1
  kSymbol,        ///< one byte of anything else
  kUnterminated,  ///< a string, name or comment that never ends
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string_view text;
};

/// Walks over one text; the text must outlive it.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Token next();
  /// The next token that is neither space nor comment.
  Token next_significant();
  std::size_t position() const { return position_; }

 private:
  Token take(TokenKind kind, std::size_t end);
  Token string(std::size_t quote, bool escapes, TokenKind kind);
  Token quoted_name(std::size_t quote);
  Token block_comment();
  Token dollar();
  Token number();
  Token word();

  std::string_view text_;
  std::size_t position_ = 0;
};

/// ASCII case-blind comparison; `lower` is in lower case.
bool equals_word(std::string_view text, std::string_view lower);

}  // namespace hyperdrive::proxy::sql
