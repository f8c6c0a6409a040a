#include "proxy/sql/hints.hpp"

#include <algorithm>
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

/// What stands between the marks of a comment.
void read_body(std::string_view body, Hints& hints) {
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

void read_comment(const Token& token, Hints& hints) {
  std::string_view body = token.text.substr(2);
  if (token.kind == TokenKind::kBlockComment) body.remove_suffix(2);
  read_body(body, hints);
}

/// A word that is nowhere needs no reading; most texts have none.
bool may_have_hints(std::string_view text) {
  return text.find("yperdrive") != std::string_view::npos ||
         text.find("YPERDRIVE") != std::string_view::npos;
}

/// Where nothing stands but blanks, comments, semicolons and the borders of executable comments.
void read_comments(std::string_view gap, Hints& hints) {
  for (std::size_t at = 0; at < gap.size();) {
    const std::string_view rest = gap.substr(at);
    const bool block = rest.starts_with("/*");
    const bool line = rest.starts_with("#") || rest.starts_with("--");
    if (!block && !line) {
      ++at;
      continue;
    }
    if (rest.starts_with("/*!") || rest.starts_with("/*M!")) {
      at += 3;
      continue;
    }
    const std::size_t begin = rest.front() == '#' ? 1 : 2;
    const std::size_t end = block ? rest.find("*/", 2) : rest.find('\n');
    const std::size_t stop = std::min(end, rest.size());
    read_body(rest.substr(begin, stop - begin), hints);
    at += stop + (block ? 2 : 1);
  }
}

}  // namespace

Hints read_mysql_hints(std::string_view text, const MysqlLexing& lexing) {
  Hints hints;
  if (!may_have_hints(text)) return hints;
  MysqlLexer lexer(text, lexing);
  const auto where = [&](const MysqlToken& token) {
    return static_cast<std::size_t>(token.text.data() - text.data());
  };
  std::size_t first = text.size();
  std::size_t last = 0;  // the end of the last token
  for (MysqlToken token = lexer.next(); token.kind != MysqlTokenKind::kEnd; token = lexer.next()) {
    if (token.text == ";") continue;
    first = std::min(first, where(token));
    last = where(token) + token.text.size();
  }
  read_comments(text.substr(0, first), hints);
  if (last != 0) read_comments(text.substr(last), hints);
  return hints;
}

Hints read_hints(std::string_view text) {
  Hints hints;
  if (!may_have_hints(text)) return hints;
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
