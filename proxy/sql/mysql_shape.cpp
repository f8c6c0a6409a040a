#include "proxy/sql/mysql_shape.hpp"

#include <array>
#include <cstdint>

namespace hyperdrive::proxy::sql {
namespace {

constexpr char kNumber = '\1', kString = '\2';

/// What a byte begins, outside of everything.
enum class Begins : std::uint8_t { kNothing, kSymbol, kWord, kDigit, kQuote, kName, kDoubtful };

constexpr std::array<Begins, 256> kBegins = [] {
  std::array<Begins, 256> table{};
  for (std::size_t c = 0; c < table.size(); ++c) {
    const char lower = static_cast<char>(c | 0x20);
    if (c >= '0' && c <= '9') {
      table[c] = Begins::kDigit;
    } else if ((lower >= 'a' && lower <= 'z') || c == '_' || c == '$' || c >= 0x80) {
      table[c] = Begins::kWord;
    } else if (c == ' ' || (c >= '\t' && c <= '\r')) {
      table[c] = Begins::kSymbol;
    } else {
      table[c] = c < 0x20 || c == 0x7f ? Begins::kDoubtful : Begins::kSymbol;
    }
  }
  table['\''] = table['"'] = Begins::kQuote;
  table['`'] = Begins::kName;
  for (const unsigned char c : {'#', '@', '\\'}) table[c] = Begins::kDoubtful;
  return table;
}();

Begins begins(char c) { return kBegins[static_cast<unsigned char>(c)]; }
bool is_word(char c) { return begins(c) == Begins::kWord || begins(c) == Begins::kDigit; }

class Shaper {
 public:
  /// `out`: room for as many bytes as `text` has.
  Shaper(char* out, std::string_view text, MysqlLexing lexing)
      : out_(out), text_(text), lexing_(lexing) {}

  const char* end() const { return out_; }
  bool run() {
    while (at_ < text_.size()) {
      if (!step()) return false;
    }
    return true;
  }

 private:
  char at(std::size_t index) const { return index < text_.size() ? text_[index] : '\0'; }

  void keep(std::size_t end) {
    while (at_ < end) *out_++ = text_[at_++];
  }

  bool step() {
    const char c = text_[at_];
    switch (begins(c)) {
      case Begins::kSymbol: {
        const char next = at(at_ + 1);
        if ((c == '-' && next == '-') || (c == '/' && next == '*')) return false;
        keep(at_ + 1);
        return true;
      }
      case Begins::kWord:
        return word();
      case Begins::kDigit:
        number();
        return true;
      case Begins::kQuote:
        return string();
      case Begins::kName:
        return name();
      case Begins::kNothing:
      case Begins::kDoubtful:
        return false;
    }
    return false;
  }

  /// x'…', b'…' and n'…' are one token.
  bool word() {
    std::size_t end = at_ + 1;
    while (is_word(at(end)) && end < text_.size()) ++end;
    if (end == at_ + 1 && at(end) == '\'') return false;
    keep(end);
    return true;
  }

  /// Digits, or two of them with a point between. With anything else beside them they are kept: a
  /// part of a name, an exponent …
  void number() {
    const bool follows_point = at_ > 0 && text_[at_ - 1] == '.';
    std::size_t end = digits(at_);
    if (at(end) == '.' && begins(at(end + 1)) == Begins::kDigit) end = digits(end + 1);
    if (!follows_point && !is_word(at(end)) && at(end) != '.') {
      *out_++ = kNumber;
      at_ = end;
      return;
    }
    end = at_;
    while (end < text_.size() && is_word(text_[end])) ++end;
    keep(end);
  }
  std::size_t digits(std::size_t from) const {
    while (from < text_.size() && begins(text_[from]) == Begins::kDigit) ++from;
    return from;
  }

  bool string() {
    const char quote = text_[at_];
    if (quote == '"' && lexing_.ansi_quotes) return false;
    for (std::size_t i = at_ + 1; i < text_.size(); ++i) {
      if (text_[i] == '\\' && !lexing_.no_backslash_escapes) {
        ++i;
      } else if (text_[i] == quote) {
        if (at(i + 1) != quote) {
          *out_++ = kString;
          at_ = i + 1;
          return true;
        }
        ++i;
      }
    }
    return false;
  }

  bool name() {
    const std::size_t end = text_.find('`', at_ + 1);
    if (end == text_.npos) return false;
    keep(end + 1);
    return true;
  }

  char* out_;
  const std::string_view text_;
  const MysqlLexing lexing_;
  std::size_t at_ = 0;
};

}  // namespace

bool append_mysql_shape(std::string& out, std::string_view text, MysqlLexing lexing) {
  if (lexing.unsafe_charset || text.size() > kMaxShapedText) return false;
  const std::size_t before = out.size();
  out.resize(before + text.size());
  Shaper shaper(out.data() + before, text, lexing);
  const bool has_one = shaper.run();
  out.resize(static_cast<std::size_t>(shaper.end() - out.data()));
  return has_one;
}

}  // namespace hyperdrive::proxy::sql
