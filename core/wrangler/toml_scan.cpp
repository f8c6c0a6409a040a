#include "core/wrangler/toml_scan.hpp"

#include <algorithm>

#include "core/wrangler/utf8.hpp"

namespace hyperdrive::core::wrangler {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_bare(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

class Scanner {
 public:
  Scanner(std::string_view text, std::string_view file) : text_(text), file_(file) {}

  Result<std::vector<Statement>> run() {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    for (skip_lines(); at_ < text_.size() && !failed_; skip_lines()) {
      text_[at_] == '[' ? header() : key_value();
      if (!failed_) end_of_line();
    }
    if (failed_) {
      return syntax_error(text_, file_, at_, "this TOML is beyond the editor: nothing was changed");
    }
    return std::move(statements_);
  }

 private:
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  void fail_here() { failed_ = true; }
  void expect(char c) { peek() == c&& at_ < text_.size() ? void(++at_) : fail_here(); }
  void skip_blanks() {
    while (is_blank(peek())) ++at_;
  }
  void skip_comment() {
    if (peek() == '#') at_ = std::min(text_.find('\n', at_), text_.size());
  }
  /// White space, line ends and comments.
  void skip_lines() {
    for (;;) {
      const std::size_t before = at_;
      while (is_blank(peek()) || peek() == '\n' || peek() == '\r') ++at_;
      skip_comment();
      if (at_ == before) return;
    }
  }
  void end_of_line() {
    skip_blanks();
    skip_comment();
    if (at_ < text_.size() && peek() != '\n' && peek() != '\r') fail_here();
  }

  void header() {
    Statement statement;
    statement.span.begin = at_++;
    statement.kind = Statement::Kind::kTable;
    if (peek() == '[') {
      statement.kind = Statement::Kind::kArray;
      ++at_;
    }
    skip_blanks();
    statement.header = dotted_key();
    skip_blanks();
    expect(']');
    if (statement.kind == Statement::Kind::kArray) expect(']');
    statement.span.end = at_;
    table_ = statement.header;
    statements_.push_back(std::move(statement));
  }

  void key_value() {
    Statement statement;
    statement.header = table_;
    statement.item = key_value_item(0);
    statement.span = statement.item.span;
    statements_.push_back(std::move(statement));
  }

  Item key_value_item(int depth) {
    Item item;
    item.span.begin = item.key_span.begin = at_;
    item.key = dotted_key();
    item.key_span.end = at_;
    skip_blanks();
    expect('=');
    skip_blanks();
    if (failed_) return item;
    item.value = value(depth);
    item.span.end = item.value.span.end;
    return item;
  }

  Path dotted_key() {
    Path path;
    for (;;) {
      path.push_back(key_part());
      const std::size_t end = at_;
      skip_blanks();
      if (peek() != '.' || failed_) {
        at_ = end;
        return path;
      }
      ++at_;
      skip_blanks();
    }
  }

  std::string key_part() {
    if (peek() == '"' || peek() == '\'') return string_value();
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_bare(text_[at_])) ++at_;
    if (at_ == begin) fail_here();
    return std::string(text_.substr(begin, at_ - begin));
  }

  Node value(int depth) {
    Node node;
    node.span.begin = at_;
    if (depth > kMaxDepth) {
      fail_here();
    } else if (peek() == '"' || peek() == '\'') {
      node.kind = Node::Kind::kString;
      node.text = string_value();
    } else if (peek() == '[') {
      node.kind = Node::Kind::kArray;
      list(node, ']', depth);
    } else if (peek() == '{') {
      node.kind = Node::Kind::kTable;
      list(node, '}', depth);
    } else {
      scalar(node);
    }
    node.span.end = at_;
    return node;
  }

  void scalar(Node& node) {
    const std::size_t begin = at_;
    at_ = std::min(text_.find_first_of(",]}#\r\n", at_), text_.size());
    while (at_ > begin && is_blank(text_[at_ - 1])) --at_;
    node.text = text_.substr(begin, at_ - begin);
    if (node.text.empty()) fail_here();
  }

  void list(Node& node, char close, int depth) {
    ++at_;
    for (skip_lines(); !failed_ && peek() != close; skip_lines()) {
      if (at_ >= text_.size()) return fail_here();
      if (close == '}') {
        node.items.push_back(key_value_item(depth + 1));
      } else {
        Item item;
        item.value = value(depth + 1);
        item.span = item.value.span;
        node.items.push_back(std::move(item));
      }
      skip_lines();
      if (peek() == ',') {
        node.items.back().comma = at_++;
      } else if (peek() != close) {
        return fail_here();
      }
    }
    expect(close);
  }

  std::string string_value() {
    const char quote = peek();
    if (peek(1) == quote && peek(2) == quote) return long_string(quote);
    ++at_;
    std::string result;
    while (at_ < text_.size() && peek() != quote && peek() != '\n') {
      quote == '"' && peek() == '\\' ? escape(result) : void(result += text_[at_++]);
    }
    expect(quote);
    return result;
  }

  std::string long_string(char quote) {
    at_ += 3;
    if (peek() == '\r' && peek(1) == '\n') ++at_;
    if (peek() == '\n') ++at_;
    std::string result;
    while (at_ < text_.size()) {
      if (peek() == quote && peek(1) == quote && peek(2) == quote) {
        at_ += 3;
        // Up to two quotes may stand directly before the closing three.
        for (int extra = 0; extra < 2 && peek() == quote; ++extra) {
          result += quote;
          ++at_;
        }
        return result;
      }
      quote == '"' && peek() == '\\' ? escape(result) : void(result += text_[at_++]);
    }
    fail_here();
    return result;
  }

  void escape(std::string& out) {
    static constexpr std::string_view kLetters = "btnfre\"\\";
    static constexpr std::string_view kMeanings = "\b\t\n\f\r\x1b\"\\";
    ++at_;
    const char c = peek();
    if (const auto found = kLetters.find(c); at_ < text_.size() && found != kNowhere) {
      out += kMeanings[found];
      ++at_;
    } else if (c == 'u' || c == 'U') {
      ++at_;
      unicode(out, c == 'u' ? 4 : 8);
    } else if (is_blank(c) || c == '\n' || c == '\r') {
      while (is_blank(peek()) || peek() == '\n' || peek() == '\r') ++at_;
    } else {
      fail_here();
      at_ = text_.size();
    }
  }

  void unicode(std::string& out, int digits) {
    unsigned long code = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const int digit = hex_digit(peek());
      if (digit < 0) return fail_here();
      code = code * 16 + static_cast<unsigned long>(digit);
    }
    code <= 0x10FFFF ? append_utf8(out, code) : fail_here();
  }

  std::string_view text_;
  std::string_view file_;
  std::size_t at_ = 0;
  bool failed_ = false;
  Path table_;
  std::vector<Statement> statements_;
};

}  // namespace

Result<std::vector<Statement>> scan_toml(std::string_view text, std::string_view file) {
  return Scanner(text, file).run();
}

std::vector<Span> toml_comments(std::string_view text, Span part) {
  std::vector<Span> comments;
  std::size_t at = part.begin;
  while ((at = text.find('#', at)) < part.end) {
    std::size_t end = std::min(text.find('\n', at), part.end);
    if (end > at && text[end - 1] == '\r') --end;
    comments.push_back({at, end});
    at = end;
  }
  return comments;
}

bool starts_with(const Path& path, const Path& prefix) {
  return path.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), path.begin());
}

}  // namespace hyperdrive::core::wrangler
