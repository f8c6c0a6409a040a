#include "proxy/sql/mysql_lexer.hpp"

#include <array>

namespace hyperdrive::proxy::sql {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) {
  const char lower = static_cast<char>(c | 0x20);
  return (lower >= 'a' && lower <= 'z') || is_digit(c) || c == '_' || c == '$' || (c & 0x80) != 0;
}

}  // namespace

MysqlToken MysqlLexer::take(MysqlTokenKind kind, std::size_t end) {
  const MysqlToken token{kind, text_.substr(position_, end - position_)};
  position_ = end;
  return token;
}

/// Skips one comment, or one border of an executable one; false if none is here.
bool MysqlLexer::skip_comment() {
  const char c = at(position_);
  const char d = at(position_ + 1);
  const bool dashes =
      c == '-' && d == '-' &&
      (position_ + 2 >= text_.size() || is_space(at(position_ + 2)) ||
       static_cast<unsigned char>(at(position_ + 2)) < 0x20 || at(position_ + 2) == 0x7f);
  if (c == '#' || dashes) {
    const std::size_t end = text_.find('\n', position_);
    position_ = end == std::string_view::npos ? text_.size() : end + 1;
    return true;
  }
  if (in_executable_ && c == '*' && d == '/') {
    in_executable_ = false;
    position_ += 2;
    return true;
  }
  if (c != '/' || d != '*') return false;
  const bool maria = at(position_ + 2) == 'M' && at(position_ + 3) == '!';
  if (maria || at(position_ + 2) == '!') {
    begin_executable();
    return true;
  }
  const std::size_t end = text_.find("*/", position_ + 2);
  if (end == std::string_view::npos) return false;
  position_ = end + 2;
  return true;
}

/// Its version has five digits or six; fewer are code already.
void MysqlLexer::begin_executable() {
  const bool of_mariadb = at(position_ + 2) == 'M';
  position_ += of_mariadb ? 4 : 3;
  std::size_t digits = 0;
  while (digits < 6 && is_digit(at(position_ + digits))) ++digits;
  unsigned version = 0;
  for (std::size_t i = 0; digits >= 5 && i < digits; ++i) {
    version = version * 10 + static_cast<unsigned>(at(position_ + i) - '0');
  }
  if (digits >= 5) position_ += digits;
  // No server's: what mariadb-dump tells its client (the sandbox mode) stands in such a comment.
  constexpr unsigned kNever = 999999;
  was_executable_ = was_executable_ || version != kNever;
  constexpr unsigned kOldest = 50600;
  was_doubtful_ = was_doubtful_ || (version != kNever && (of_mariadb || version > kOldest));
  // MariaDB leaves out what is for MySQL from 5.7 up.
  constexpr unsigned kMysql57 = 50700, kLastOfMysql = 99999;
  const bool foreign = server_.is_mariadb
                           ? !of_mariadb && version >= kMysql57 && version <= kLastOfMysql
                           : of_mariadb;
  const bool runs = server_.version == 0 || (!foreign && version <= server_.version);
  in_executable_ = runs && version != kNever;
  if (in_executable_) return;
  for (int depth = 1; depth > 0 && position_ < text_.size(); ++position_) {
    const char c = at(position_);
    const char d = at(position_ + 1);
    // A comment in it, but none in that.
    const bool opens = c == '/' && d == '*' && depth < 2;
    if (!opens && !(c == '*' && d == '/')) continue;
    depth += opens ? 1 : -1;
    ++position_;
  }
}

bool MysqlLexer::skip_blank() {
  while (position_ < text_.size()) {
    if (is_space(text_[position_])) {
      ++position_;
    } else if (!skip_comment()) {
      return true;
    }
  }
  return false;
}

MysqlToken MysqlLexer::next() {
  const std::size_t before = position_;
  if (!skip_blank()) return {};
  const bool spaced = position_ != before;
  const bool after_name = after_name_ && !spaced;
  const bool in_name = after_dot_ && !spaced;
  MysqlToken token;
  if (after_name && text_[position_] == '.') {
    token = take(MysqlTokenKind::kSymbol, position_ + 1);
    after_dot_ = true;
  } else {
    std::size_t end = position_;
    while (in_name && is_word(at(end))) ++end;
    // Behind a point digits make a name, too.
    token = end > position_ ? take(MysqlTokenKind::kWord, end) : plain();
    after_dot_ = false;
  }
  token.spaced = spaced;
  after_name_ = token.kind == MysqlTokenKind::kWord || token.kind == MysqlTokenKind::kQuotedName;
  return token;
}

/// Of a value with a comma, a parenthesis or a sign behind it; `begin` if none is there.
std::size_t MysqlLexer::value_end(std::size_t begin) const {
  const char c = text_[begin];
  std::size_t end = begin;
  if (c == '?') {
    ++end;
  } else if (is_digit(c)) {
    while (is_digit(at(end))) ++end;
    if (at(end) == '.') ++end;
    while (is_digit(at(end))) ++end;
  } else if (c == '\'' || (c == '"' && !lexing_.ansi_quotes)) {
    const char escape = lexing_.no_backslash_escapes ? c : '\\';
    for (end = begin + 1; end < text_.size(); ++end) {
      if (text_[end] == c && at(end + 1) != c) break;
      if (text_[end] == c || text_[end] == escape) ++end;
    }
    if (end >= text_.size()) return begin;
    ++end;
  } else {
    for (const std::string_view word : {"null", "default", "true", "false"}) {
      std::size_t i = 0;
      while (i < word.size() && static_cast<char>(at(begin + i) | 0x20) == word[i]) ++i;
      if (i == word.size()) end = begin + i;
    }
  }
  std::size_t next = end;
  while (is_space(at(next)) && next < text_.size()) ++next;
  const bool delimited = std::string_view(",)+-").find(at(next)) != std::string_view::npos;
  return delimited && next < text_.size() ? end : begin;
}

MysqlPassed MysqlLexer::pass_values() {
  constexpr std::size_t kKept = 8, kWorthwhile = 64;
  struct Place {
    std::size_t position = 0;
    MysqlPassed passed;  // before it
  };
  if (position_ < values_end_) return {};
  std::array<Place, kKept> last;
  std::size_t count = 0;
  MysqlPassed passed;
  std::size_t i = position_;
  while (i < text_.size()) {
    const char c = text_[i];
    if (is_space(c)) {
      ++i;
      continue;
    }
    const Place here{i, passed};
    if (c == '(') {
      ++passed.opened;
      ++i;
    } else if (c == ')') {
      passed.opened > 0 ? --passed.opened : ++passed.closed;
      ++i;
    } else if (c == ',' || c == '+' || (c == '-' && at(i + 1) != '-')) {
      ++i;
    } else {
      const std::size_t end = value_end(i);
      if (end == i) break;
      i = end;
    }
    last[count++ % kKept] = here;
  }
  values_end_ = i;
  if (count < kWorthwhile) return {};
  Place& oldest = last[count % kKept];
  oldest.passed.anything = true;
  position_ = oldest.position;
  after_name_ = after_dot_ = false;
  return oldest.passed;
}

/// A token that does not go on with a qualified name.
MysqlToken MysqlLexer::plain() {
  const char c = text_[position_];
  const char d = at(position_ + 1);
  const bool escapes = !lexing_.no_backslash_escapes;
  if (c == '/' && d == '*') return take(MysqlTokenKind::kUnterminated, text_.size());
  if (c == '\'') return quoted(position_, '\'', escapes, MysqlTokenKind::kString);
  if (c == '`') return quoted(position_, '`', false, MysqlTokenKind::kQuotedName);
  if (c == '"') {
    return lexing_.ansi_quotes ? quoted(position_, '"', false, MysqlTokenKind::kQuotedName)
                               : quoted(position_, '"', escapes, MysqlTokenKind::kString);
  }
  if (c == '@') return variable();
  if (c == '?') return take(MysqlTokenKind::kParameter, position_ + 1);
  if (c == ':' && d == '=') return take(MysqlTokenKind::kSymbol, position_ + 2);
  const char lower = static_cast<char>(c | 0x20);
  if ((lower == 'x' || lower == 'b' || lower == 'n') && d == '\'') {
    return quoted(position_ + 1, '\'', lower == 'n' && escapes, MysqlTokenKind::kString);
  }
  if (is_digit(c) || (c == '.' && is_digit(d))) return number_or_name();
  if (!is_word(c)) return take(MysqlTokenKind::kSymbol, position_ + 1);
  std::size_t end = position_ + 1;
  while (is_word(at(end))) ++end;
  return take(MysqlTokenKind::kWord, end);
}

/// A number ends where the server's ends, whatever follows it: 1.FROM and 1e5FROM are two tokens
/// each. Without a point or an exponent, word bytes behind the digits make a name of it all.
MysqlToken MysqlLexer::number_or_name() {
  std::size_t end = position_;
  while (is_digit(at(end))) ++end;
  const bool point = at(end) == '.';
  if (point) {
    ++end;
    while (is_digit(at(end))) ++end;
  }
  if ((at(end) | 0x20) == 'e') {
    const std::size_t digits = at(end + 1) == '+' || at(end + 1) == '-' ? end + 2 : end + 1;
    if (is_digit(at(digits))) {
      end = digits;
      while (is_digit(at(end))) ++end;
      return take(MysqlTokenKind::kNumber, end);
    }
    // The server drops such a number and goes on with the byte behind it: x 1.e(y) is x(y).
    if (point) return take(MysqlTokenKind::kUnknown, end + 1);
  }
  if (point || !is_word(at(end))) return take(MysqlTokenKind::kNumber, end);
  while (is_word(at(end))) ++end;
  return take(MysqlTokenKind::kWord, end);
}

MysqlToken MysqlLexer::quoted(std::size_t begin, char quote, bool escapes, MysqlTokenKind kind) {
  for (std::size_t i = begin + 1; i < text_.size(); ++i) {
    if (escapes && text_[i] == '\\') {
      ++i;
    } else if (text_[i] == quote) {
      if (at(i + 1) != quote || i + 1 >= text_.size()) return take(kind, i + 1);
      ++i;
    }
  }
  return take(MysqlTokenKind::kUnterminated, text_.size());
}

MysqlToken MysqlLexer::variable() {
  std::size_t end = position_ + 1;
  const bool system = at(end) == '@';
  if (system) ++end;
  if (at(end) == '\'' || at(end) == '"' || at(end) == '`') {
    return quoted(end, at(end), at(end) != '`' && !lexing_.no_backslash_escapes,
                  system ? MysqlTokenKind::kSystemVariable : MysqlTokenKind::kUserVariable);
  }
  while (is_word(at(end)) || at(end) == '.') ++end;
  return take(system ? MysqlTokenKind::kSystemVariable : MysqlTokenKind::kUserVariable, end);
}

std::string mysql_name(const MysqlToken& token) {
  if (token.kind != MysqlTokenKind::kQuotedName) return std::string(token.text);
  std::string name;
  const char quote = token.text.front();
  for (std::size_t i = 1; i + 1 < token.text.size(); ++i) {
    name += token.text[i];
    if (token.text[i] == quote) ++i;
  }
  return name;
}

}  // namespace hyperdrive::proxy::sql
