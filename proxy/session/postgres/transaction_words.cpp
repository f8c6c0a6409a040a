#include "proxy/session/postgres/transaction_words.hpp"

namespace hyperdrive::proxy::session::postgres {
namespace {

constexpr std::size_t kLongest = 256;  // bytes; nobody writes longer ones

/// Words of ASCII letters, with commas as words of their own.
class Words {
 public:
  explicit Words(std::string_view text) : rest_(text) {}

  bool take(std::string_view word) {
    skip_blanks();
    if (rest_.size() < word.size()) return false;
    for (std::size_t i = 0; i < word.size(); ++i) {
      if ((rest_[i] | 0x20) != word[i]) return false;
    }
    if (rest_.size() > word.size() && !ends_word(rest_[word.size()])) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  bool take_comma() {
    skip_blanks();
    if (!rest_.starts_with(',')) return false;
    rest_.remove_prefix(1);
    return true;
  }
  /// Nothing follows but blanks and semicolons.
  bool at_end() const { return rest_.find_first_not_of(" \t\r\n\f\v;") == std::string_view::npos; }

 private:
  static bool ends_word(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r') || c == ',' || c == ';';
  }
  void skip_blanks() {
    while (!rest_.empty() && (rest_[0] == ' ' || (rest_[0] >= '\t' && rest_[0] <= '\r'))) {
      rest_.remove_prefix(1);
    }
  }
  std::string_view rest_;
};

bool take_mode(Words& words) {
  if (words.take("isolation")) {
    if (!words.take("level")) return false;
    if (words.take("serializable")) return true;
    if (words.take("repeatable")) return words.take("read");
    return words.take("read") && (words.take("committed") || words.take("uncommitted"));
  }
  if (words.take("read")) return words.take("write") || words.take("only");
  if (words.take("not")) return words.take("deferrable");
  return words.take("deferrable");
}

}  // namespace

std::string_view begin_tag(std::string_view text) {
  if (text.size() > kLongest) return {};
  Words words(text);
  std::string_view tag = "BEGIN";
  if (words.take("begin")) {
    if (!words.take("work")) words.take("transaction");
  } else if (words.take("start") && words.take("transaction")) {
    tag = "START TRANSACTION";
  } else {
    return {};
  }
  if (words.at_end()) return tag;
  do {
    if (!take_mode(words)) return {};
    if (words.at_end()) return tag;
    words.take_comma();
  } while (true);
}

std::string_view end_tag(std::string_view text) {
  if (text.size() > kLongest) return {};
  Words words(text);
  std::string_view tag = "COMMIT";
  if (!words.take("commit") && !words.take("end")) {
    if (!words.take("rollback") && !words.take("abort")) return {};
    tag = "ROLLBACK";
  }
  if (!words.take("work")) words.take("transaction");
  return words.at_end() ? tag : std::string_view();
}

}  // namespace hyperdrive::proxy::session::postgres
