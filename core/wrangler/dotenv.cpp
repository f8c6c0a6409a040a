#include "core/wrangler/dotenv.hpp"

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "core/wrangler/file.hpp"
#include "core/wrangler/syntax.hpp"

namespace hyperdrive::core::wrangler {
namespace {

struct Assignment {
  std::string name;
  Span value;  ///< as written, quotes included
  std::string text;
};

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_name(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-';
}

/// One pass over the text; see dotenv's README for the rules.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::vector<Assignment> run() {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    while (at_ < text_.size()) {
      if (auto found = assignment()) found_.push_back(std::move(*found));
      at_ = text_.find('\n', at_);
      if (at_ == kNowhere) break;
      ++at_;
    }
    return std::move(found_);
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_blanks() {
    while (is_blank(peek())) ++at_;
  }

  std::string name() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_name(text_[at_])) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::optional<Assignment> assignment() {
    skip_blanks();
    Assignment result;
    result.name = name();
    if (result.name == "export" && is_blank(peek())) {
      skip_blanks();
      result.name = name();
    }
    if (result.name.empty()) return {};
    const bool colon = peek() == ':';
    if (colon) {
      ++at_;
      if (!is_blank(peek())) return {};
    } else {
      skip_blanks();
      if (peek() != '=') return {};
      ++at_;
    }
    skip_blanks();
    if (!quoted(result)) plain(result);
    at_ = result.value.end;
    return result;
  }

  /// `'…'`, `"…"` or `` `…` ``, over several lines if need be, with only a comment behind it.
  bool quoted(Assignment& result) {
    const char quote = peek();
    if (quote != '"' && quote != '\'' && quote != '`') return false;
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) return false;
    const std::size_t behind = std::min(text_.find_first_not_of(" \t\r", end + 1), text_.size());
    if (behind < text_.size() && text_[behind] != '\n' && text_[behind] != '#') return false;
    result.value = {at_, end + 1};
    result.text = text_.substr(at_ + 1, end - at_ - 1);
    std::erase(result.text, '\r');
    if (quote == '"') unescape(result.text);
    return true;
  }

  void plain(Assignment& result) {
    std::size_t end = std::min(text_.find_first_of("#\r\n", at_), text_.size());
    while (end > at_ && is_blank(text_[end - 1])) --end;
    result.value = {at_, end};
    result.text = text_.substr(at_, end - at_);
  }

  /// dotenv knows \n and \r within double quotes, no other escape.
  static void unescape(std::string& text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char next = i + 1 < text.size() ? text[i + 1] : '\0';
      if (text[i] == '\\' && (next == 'n' || next == 'r')) {
        result += next == 'n' ? '\n' : '\r';
        ++i;
      } else {
        result += text[i];
      }
    }
    text = std::move(result);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<Assignment> found_;
};

/// A value as it must be written; in the quotes `before` has if they fit.
std::string written(std::string_view value, std::string_view before) {
  const auto fits = [&](char quote) {
    if (value.find(quote) != std::string_view::npos || value.ends_with('\\')) return false;
    return quote != '"' || value.find('\\') == std::string_view::npos;
  };
  const auto in = [&](char quote) { return quote + std::string(value) + quote; };
  if (!before.empty() && std::string_view("\"'`").find(before.front()) != kNowhere &&
      fits(before.front())) {
    return in(before.front());
  }
  const bool plain = value.find_first_of(" \t\r\n#\"'`$\\") == std::string_view::npos;
  if (plain) return std::string(value);
  for (const char quote : {'\'', '"', '`'}) {
    if (fits(quote)) return in(quote);
  }
  return std::string(value);
}

std::optional<std::string> value_of(const Variables& variables, const std::string& name) {
  if (const char* own = std::getenv(name.c_str())) return own;
  const auto found = variables.find(name);
  if (found == variables.end()) return {};
  return found->second;
}

/// `$NAME`, `${NAME}`, `${NAME:-default}`; `\$` is a dollar sign.
std::string expanded(const std::string& text, const Variables& variables) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == '$') {
      result += text[++i];
      continue;
    }
    const bool braces = text[i] == '$' && i + 1 < text.size() && text[i + 1] == '{';
    std::size_t end = i + (braces ? 2 : 1);
    const std::size_t begin = end;
    while (end < text.size() && is_name(text[end]) && text[end] != '.' && text[end] != '-') ++end;
    if (text[i] != '$' || end == begin) {
      result += text[i];
      continue;
    }
    const auto value = value_of(variables, text.substr(begin, end - begin));
    if (!braces) {
      result += value.value_or("");
      i = end - 1;
      continue;
    }
    const std::size_t close = text.find('}', end);
    if (close == kNowhere) {
      result += text[i];
      continue;
    }
    const std::string rest = text.substr(end, close - end);
    const bool has_default = rest.starts_with(":-");
    result += value && !(has_default && value->empty()) ? *value
              : has_default                             ? rest.substr(2)
                                                        : "";
    i = close;
  }
  return result;
}

}  // namespace

Variables parse_dotenv(std::string_view text) {
  Variables variables;
  for (auto& assignment : Scanner(text).run()) {
    variables[assignment.name] = std::move(assignment.text);
  }
  return variables;
}

std::string set_dotenv(std::string_view text,
                       const std::vector<std::pair<std::string, std::string>>& variables) {
  std::string result(text);
  const std::string newline(newline_of(text));
  for (const auto& [name, value] : variables) {
    const auto assignments = Scanner(result).run();
    const auto last = std::find_if(assignments.rbegin(), assignments.rend(),
                                   [&name = name](const Assignment& a) { return a.name == name; });
    if (last != assignments.rend()) {
      if (last->text == value) continue;
      const Span span = last->value;
      const auto before = result.substr(span.begin, span.end - span.begin);
      result.replace(span.begin, before.size(), written(value, before));
      continue;
    }
    const bool ends_line = result.empty() || result.ends_with('\n');
    result += (ends_line ? "" : newline) + name + "=" + written(value, "");
    if (ends_line) result += newline;
  }
  return result;
}

Variables load_dotenv(const std::filesystem::path& cwd, std::string_view environment,
                      const std::vector<std::filesystem::path>& files) {
  std::vector<std::filesystem::path> names = files;
  if (names.empty()) {
    names = {".env", ".env.local"};
    if (!environment.empty()) {
      names.push_back(".env." + std::string(environment));
      names.push_back(".env." + std::string(environment) + ".local");
    }
  }
  Variables raw;
  for (const auto& name : names) {
    const auto text = read_file(cwd / name);
    if (!text) continue;
    for (auto& [key, value] : parse_dotenv(*text)) raw[key] = std::move(value);
  }
  Variables result;
  for (const auto& [key, value] : raw) result[key] = expanded(value, raw);
  return result;
}

}  // namespace hyperdrive::core::wrangler
