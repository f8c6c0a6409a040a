#include "proxy/sql/abridge.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "proxy/sql/analysis.hpp"
#include "proxy/sql/lexer.hpp"

namespace hyperdrive::proxy::sql {
namespace {

/// Always an int4, as the grammar reads it.
constexpr std::size_t kMostDigits = 9;
/// Of different items in one list so many are told apart; all others stay.
constexpr std::size_t kMostKinds = 16;

/// What a token says apart from its value.
void append_kind(std::string& out, const Token& token) {
  switch (token.kind) {
    case TokenKind::kString:
      out += has_input_word(token.text) ? token.text : "''";
      break;
    case TokenKind::kInteger:
      out += token.text.size() <= kMostDigits ? "1" : token.text;
      break;
    case TokenKind::kDecimal:
      out += "1.";
      break;
    case TokenKind::kParameter:
      out += "$1";
      break;
    default:
      out += token.text;
      break;
  }
  out += ' ';
}

/// One pass. Lists within the items of a list are parts of them.
class Abridger {
 public:
  explicit Abridger(std::string_view text) : text_(text), lexer_(text) {}

  std::string run() {
    for (Token token = next(); token.kind != TokenKind::kEnd; token = next()) step(token);
    out_.append(text_.substr(copied_));
    return std::move(out_);
  }

 private:
  enum class List : std::uint8_t { kNone, kItems, kRows };

  Token next() {
    const Token token = lexer_.next_significant();
    end_ = lexer_.position();
    return token;
  }

  void step(const Token& token) {
    const char symbol = token.kind == TokenKind::kSymbol ? token.text.front() : '\0';
    switch (list_) {
      case List::kNone:
        outside(token, symbol);
        break;
      case List::kItems:
        items(token, symbol);
        break;
      case List::kRows:
        rows(token, symbol);
        break;
    }
  }

  void outside(const Token& token, char symbol) {
    if (symbol == '[' || (symbol == '(' && before_ == Before::kIn)) begin(List::kItems);
    if (symbol == '(' && before_ == Before::kValues) {
      begin(List::kRows);
      rows(token, symbol);
    }
    before_ = Before::kOther;
    if (token.kind != TokenKind::kWord) return;
    if (equals_word(token.text, "in")) before_ = Before::kIn;
    if (equals_word(token.text, "values")) before_ = Before::kValues;
  }

  void begin(List list) {
    list_ = list;
    depth_ = 0;
    kinds_.clear();
    first_ = end_;
    begin_item(end_);
  }

  static bool begins_query(const Token& token) {
    const auto is = [&](std::string_view word) { return equals_word(token.text, word); };
    return is("select") || is("with") || is("values") || is("table");
  }

  void begin_item(std::size_t at) {
    item_ = at;
    kind_.clear();
  }

  void items(const Token& token, char symbol) {
    if (item_ == first_ && kind_.empty() && begins_query(token)) {
      list_ = List::kNone;
      return outside(token, symbol);
    }
    const bool closes = symbol == ')' || symbol == ']';
    if (depth_ == 0 && (symbol == ',' || closes)) {
      end_item(end_ - 1);
      if (closes) list_ = List::kNone;
      begin_item(end_ - 1);  // with the comma before it
      return;
    }
    if (symbol == '(' || symbol == '[') ++depth_;
    if (closes) --depth_;
    append_kind(kind_, token);
  }

  /// (…), (…): from each comma to the next, which anything else but a row ends.
  void rows(const Token& token, char symbol) {
    if (depth_ == 0 && symbol != '(') {
      const std::size_t at = end_ - token.text.size();
      end_item(at);
      if (symbol == ',') return begin_item(at);
      list_ = List::kNone;
      return outside(token, symbol);
    }
    if (symbol == '(' || symbol == '[') ++depth_;
    if (symbol == ')' || symbol == ']') --depth_;
    append_kind(kind_, token);
  }

  /// The first item has no comma before it, so it stays.
  void end_item(std::size_t end) {
    const bool is_known = std::find(kinds_.begin(), kinds_.end(), kind_) != kinds_.end();
    if (is_known) {
      out_.append(text_.substr(copied_, item_ - copied_));
      copied_ = end;
    } else if (kinds_.size() < kMostKinds) {
      kinds_.push_back(kind_);
    }
  }

  enum class Before : std::uint8_t { kOther, kIn, kValues };

  std::string_view text_;
  Lexer lexer_;
  std::string out_;
  std::size_t copied_ = 0;  // or left out
  std::size_t end_ = 0;     // of the present token
  Before before_ = Before::kOther;
  List list_ = List::kNone;
  int depth_ = 0;
  std::size_t first_ = 0;  // where the list's first item begins
  std::size_t item_ = 0;   // likewise, the present one
  std::string kind_;       // of it
  std::vector<std::string> kinds_;
};

}  // namespace

std::string abridged(std::string_view text) { return Abridger(text).run(); }

}  // namespace hyperdrive::proxy::sql
