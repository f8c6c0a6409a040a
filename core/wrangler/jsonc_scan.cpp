#include "core/wrangler/jsonc_scan.hpp"

#include <algorithm>
#include <optional>

#include "core/wrangler/utf8.hpp"

namespace hyperdrive::core::wrangler {
namespace {

/// RFC 8259, section 6.
bool is_number(std::string_view text) {
  std::size_t at = text.starts_with('-') ? 1 : 0;
  const auto digits = [&] {
    const std::size_t begin = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at - begin;
  };
  const bool zero = at < text.size() && text[at] == '0';
  const std::size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (digits() == 0) return false;
  }
  if (at < text.size() && (text[at] | 0x20) == 'e') {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (digits() == 0) return false;
  }
  return at == text.size();
}

class Scanner {
 public:
  Scanner(std::string_view text, std::string_view file) : text_(text), file_(file) {}

  Result<Node> run() {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    skip_trivia();
    Node root = value(0);
    skip_trivia();
    if (!failed_ && at_ < text_.size()) give_up("nothing may follow the value");
    if (failed_) return syntax_error(text_, file_, error_at_, what_);
    return root;
  }

 private:
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool at_end() const { return at_ >= text_.size(); }
  void give_up(std::string what) {
    if (failed_) return;
    failed_ = true;
    error_at_ = at_;
    what_ = std::move(what);
  }

  void skip_trivia() {
    while (!at_end() && !failed_) {
      const char c = peek();
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        ++at_;
      } else if (c == '/' && peek(1) == '/') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (c == '/' && peek(1) == '*') {
        const std::size_t end = text_.find("*/", at_ + 2);
        if (end == kNowhere) return give_up("this comment has no end");
        at_ = end + 2;
      } else {
        return;
      }
    }
  }

  Node value(int depth) {
    Node node;
    node.span.begin = at_;
    if (failed_) return node;
    if (depth > kMaxDepth) {
      give_up("nested too deep");
    } else if (peek() == '{') {
      node.kind = Node::Kind::kTable;
      list(node, '}', depth);
    } else if (peek() == '[') {
      node.kind = Node::Kind::kArray;
      list(node, ']', depth);
    } else if (peek() == '"') {
      node.kind = Node::Kind::kString;
      node.text = string_value();
    } else {
      scalar(node);
    }
    node.span.end = at_;
    return node;
  }

  void scalar(Node& node) {
    const std::size_t end = std::min(text_.find_first_of(" \t\r\n,:[]{}\"/", at_), text_.size());
    node.text = text_.substr(at_, end - at_);
    if (node.text.empty()) return give_up("a value is expected here");
    if (node.text != "true" && node.text != "false" && node.text != "null" &&
        !is_number(node.text)) {
      return give_up("this is not a value");
    }
    at_ = end;
  }

  Item member(int depth) {
    Item item;
    item.span.begin = item.key_span.begin = at_;
    if (peek() != '"') {
      give_up("a property name in double quotes is expected here");
      return item;
    }
    item.key = {string_value()};
    item.key_span.end = at_;
    skip_trivia();
    if (peek() != ':') {
      give_up("a colon is expected here");
      return item;
    }
    ++at_;
    skip_trivia();
    item.value = value(depth);
    item.span.end = item.value.span.end;
    return item;
  }

  void list(Node& node, char close, int depth) {
    ++at_;
    for (skip_trivia(); !failed_ && peek() != close; skip_trivia()) {
      if (at_end()) return give_up(std::string("the closing ") + close + " is missing");
      if (close == '}') {
        node.items.push_back(member(depth + 1));
      } else {
        Item item;
        item.value = value(depth + 1);
        item.span = item.value.span;
        node.items.push_back(std::move(item));
      }
      skip_trivia();
      if (failed_) return;
      if (peek() == ',') {
        node.items.back().comma = at_++;
      } else if (peek() != close) {
        return give_up(std::string("a comma or the closing ") + close + " is expected here");
      }
    }
    if (!failed_) ++at_;
  }

  std::string string_value() {
    std::string result;
    for (++at_; !at_end(); ++at_) {
      const char c = peek();
      if (c == '"') {
        ++at_;
        return result;
      }
      if (static_cast<unsigned char>(c) < 0x20) break;
      if (c != '\\') {
        result += c;
      } else if (!escape(result)) {
        give_up("this escape does not exist");
        return result;
      }
    }
    give_up("the string's closing quote is missing");
    return result;
  }

  /// Leaves `at_` on the escape's last character.
  bool escape(std::string& out) {
    static constexpr std::string_view kLetters = "btnfr\"\\/";
    static constexpr std::string_view kMeanings = "\b\t\n\f\r\"\\/";
    ++at_;
    if (at_end()) return false;
    if (const auto found = kLetters.find(peek()); found != kNowhere) {
      out += kMeanings[found];
      return true;
    }
    if (peek() != 'u') return false;
    auto code = hexadecimal(at_ + 1);
    if (!code) return false;
    at_ += 4;
    const bool high = *code >= 0xD800 && *code < 0xDC00;
    if (high && peek(1) == '\\' && peek(2) == 'u') {
      const auto low = hexadecimal(at_ + 3);
      if (low && *low >= 0xDC00 && *low < 0xE000) {
        code = 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00);
        at_ += 6;
      }
    }
    append_utf8(out, *code >= 0xD800 && *code < 0xE000 ? 0xFFFD : *code);
    return true;
  }

  std::optional<unsigned long> hexadecimal(std::size_t at) const {
    if (at + 4 > text_.size()) return {};
    unsigned long code = 0;
    for (std::size_t i = at; i < at + 4; ++i) {
      const int digit = hex_digit(text_[i]);
      if (digit < 0) return {};
      code = code * 16 + static_cast<unsigned long>(digit);
    }
    return code;
  }

  std::string_view text_;
  std::string_view file_;
  std::size_t at_ = 0;
  bool failed_ = false;
  std::size_t error_at_ = 0;
  std::string what_;
};

}  // namespace

Result<Node> scan_jsonc(std::string_view text, std::string_view file) {
  return Scanner(text, file).run();
}

std::vector<Span> jsonc_comments(std::string_view text, Span part) {
  std::vector<Span> comments;
  for (std::size_t at = part.begin; at + 1 < part.end; ++at) {
    if (text[at] == '"') {
      for (++at; at < part.end && text[at] != '"'; ++at) {
        if (text[at] == '\\') ++at;
      }
      continue;
    }
    if (text[at] != '/' || (text[at + 1] != '/' && text[at + 1] != '*')) continue;
    std::size_t end = part.end;
    if (text[at + 1] == '/') {
      end = std::min(text.find('\n', at), part.end);
      if (end > at && text[end - 1] == '\r') --end;
    } else if (const std::size_t close = text.find("*/", at + 2); close < part.end) {
      end = close + 2;
    }
    comments.push_back({at, end});
    at = end - 1;
  }
  return comments;
}

}  // namespace hyperdrive::core::wrangler
