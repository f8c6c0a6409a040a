#include "proxy/sql/class_key.hpp"

#include "proxy/sql/analysis.hpp"
#include "proxy/sql/lexer.hpp"

namespace hyperdrive::proxy::sql {
namespace {

// Bytes that no text outside of quotes may hold (the grammar refuses them).
constexpr char kString = '\x01';
constexpr char kInteger = '\x02';
constexpr char kDecimal = '\x03';
constexpr char kBlockComment = '\x04';
constexpr char kLineComment = '\x05';

constexpr std::size_t kMostDigits = 9;  // always an int4

bool speaks_to_us(std::string_view comment) {
  return comment.find("yperdrive") != std::string_view::npos ||
         comment.find("YPERDRIVE") != std::string_view::npos;
}

}  // namespace

bool write_class_key(std::string_view text, std::string& out) {
  out.clear();
  out.reserve(text.size());
  Lexer lexer(text);
  bool after_string = false;
  for (Token token = lexer.next(); token.kind != TokenKind::kEnd; token = lexer.next()) {
    switch (token.kind) {
      case TokenKind::kString:
        if (after_string) return false;
        if (has_input_word(token.text)) {
          out += token.text;
        } else {
          out += kString;
        }
        break;
      case TokenKind::kSpecialString:
        if (after_string) return false;
        out += token.text;
        break;
      case TokenKind::kInteger:
        if (token.text.size() <= kMostDigits) {
          out += kInteger;
        } else {
          out += token.text;
        }
        break;
      case TokenKind::kDecimal:
        out += kDecimal;
        break;
      case TokenKind::kBlockComment:
      case TokenKind::kLineComment:
        if (speaks_to_us(token.text)) {
          out += token.text;
        } else {
          out += token.kind == TokenKind::kBlockComment ? kBlockComment : kLineComment;
        }
        continue;
      case TokenKind::kUnterminated:
        return false;
      case TokenKind::kSpace:
        out += token.text;
        continue;
      case TokenKind::kSymbol:
        if (static_cast<unsigned char>(token.text.front()) < 0x20) return false;
        out += token.text;
        break;
      case TokenKind::kWord:
        // UESCAPE 'x' decides how a name before it is read.
        if (equals_word(token.text, "uescape")) return false;
        out += token.text;
        break;
      default:
        out += token.text;
    }
    after_string = token.kind == TokenKind::kString || token.kind == TokenKind::kSpecialString;
  }
  return true;
}

}  // namespace hyperdrive::proxy::sql
