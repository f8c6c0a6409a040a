#include "proxy/sql/class_key.hpp"

#include <array>
#include <cstdint>
#include <cstring>

#include "proxy/sql/analysis.hpp"

namespace hyperdrive::proxy::sql {
namespace {

// Bytes that no text outside of quotes may hold (the grammar refuses them).
constexpr char kString = '\x01';
constexpr char kInteger = '\x02';
constexpr char kDecimal = '\x03';
constexpr char kBlockComment = '\x04';
constexpr char kLineComment = '\x05';

constexpr std::ptrdiff_t kMostDigits = 9;  // always an int4

/// What a byte may begin; all others are copied.
enum class Stop : std::uint8_t { kNone, kQuote, kName, kDollar, kDigit, kDash, kSlash, kControl };

constexpr std::array<Stop, 256> make_stops() {
  std::array<Stop, 256> stops{};
  for (int c = 0; c < 0x20; ++c) stops[c] = Stop::kControl;
  for (int c : {'\t', '\n', '\v', '\f', '\r'}) stops[c] = Stop::kNone;
  for (int c = '0'; c <= '9'; ++c) stops[c] = Stop::kDigit;
  stops['\''] = Stop::kQuote;
  stops['"'] = Stop::kName;
  stops['$'] = Stop::kDollar;
  stops['-'] = Stop::kDash;
  stops['/'] = Stop::kSlash;
  return stops;
}
constexpr std::array<Stop, 256> kStops = make_stops();

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_word(char c) {
  const char lower = static_cast<char>(c | 0x20);
  return (lower >= 'a' && lower <= 'z') || is_digit(c) || c == '_' || c == '$' || (c & 0x80) != 0;
}

/// One pass from left to right. A step returns false if the text has no form.
class Scan {
 public:
  Scan(std::string_view text, char* out)
      : begin_(text.data()), end_(text.data() + text.size()), at_(begin_), out_(out) {}

  bool run() {
    while (at_ < end_) {
      const Stop stop = kStops[static_cast<unsigned char>(*at_)];
      if (stop == Stop::kNone) {
        *out_++ = *at_++;
      } else if (!step(stop)) {
        return false;
      }
    }
    return true;
  }

  const char* out() const { return out_; }

 private:
  bool step(Stop stop) {
    switch (stop) {
      case Stop::kQuote:
        return string();
      case Stop::kName:
        return quoted_name();
      case Stop::kDollar:
        return dollar();
      case Stop::kDigit:
        return number();
      case Stop::kDash:
        return at_ + 1 < end_ && at_[1] == '-' ? line_comment() : copy(at_ + 1);
      case Stop::kSlash:
        return at_ + 1 < end_ && at_[1] == '*' ? block_comment() : copy(at_ + 1);
      default:
        return false;
    }
  }

  bool copy(const char* to) {
    const auto length = static_cast<std::size_t>(to - at_);
    std::memcpy(out_, at_, length);
    out_ += length;
    at_ = to;
    return true;
  }

  bool replace(const char* to, char mark) {
    *out_++ = mark;
    at_ = to;
    return true;
  }

  char before(std::ptrdiff_t count) const { return at_ - begin_ >= count ? at_[-count] : ' '; }

  /// U&'…' and U&"…" may be decoded by an escape character that comes later.
  bool follows_unicode_prefix() const { return before(1) == '&' && (before(2) | 0x20) == 'u'; }

  /// 'a' behind 'b' and a line's end is one string with it.
  bool follows_string(const char* start) const {
    const char* last = out_ - (at_ - start);
    while (last > start_of_out() && (last[-1] == ' ' || (last[-1] >= '\t' && last[-1] <= '\r') ||
                                     last[-1] == kBlockComment || last[-1] == kLineComment)) {
      --last;
    }
    return last > start_of_out() && (last[-1] == kString || last[-1] == '\'');
  }
  const char* start_of_out() const { return first_out_; }

  bool string() {
    if (follows_unicode_prefix()) return false;
    const char prefix = static_cast<char>(before(1) | 0x20);
    bool special = prefix == 'e' || prefix == 'b' || prefix == 'x' || prefix == 'n';
    const char* start = at_;
    if (special) {
      // Only if that letter is a word of its own; behind a digit or $ the grammar's view is
      // unclear.
      const char* word = at_ - 1;
      while (word > begin_ && is_word(word[-1])) --word;
      if (is_digit(*word) || *word == '$') return false;
      special = word == at_ - 1;
      if (special) start = word;
    }
    if (follows_string(start)) return false;
    const bool escapes = special && prefix == 'e';
    for (const char* close = at_ + 1; close < end_; ++close) {
      if (escapes && *close == '\\') {
        ++close;
      } else if (*close == '\'') {
        if (close + 1 < end_ && close[1] == '\'') {
          ++close;
          continue;
        }
        const std::string_view body(at_, static_cast<std::size_t>(close + 1 - at_));
        return special || has_input_word(body) ? copy(close + 1) : replace(close + 1, kString);
      }
    }
    return false;
  }

  bool quoted_name() {
    if (follows_unicode_prefix()) return false;
    // A doubled quote ends one name and begins another: copied alike.
    const auto* close = static_cast<const char*>(
        std::memchr(at_ + 1, '"', static_cast<std::size_t>(end_ - at_ - 1)));
    return close != nullptr && copy(close + 1);
  }

  bool dollar() {
    if (is_word(before(1))) return copy(at_ + 1);
    const char* tag = at_ + 1;
    if (tag < end_ && is_digit(*tag)) {
      while (tag < end_ && is_digit(*tag)) ++tag;
      return copy(tag);
    }
    while (tag < end_ && is_word(*tag) && *tag != '$') ++tag;
    if (tag >= end_ || *tag != '$') return copy(at_ + 1);
    const std::string_view delimiter(at_, static_cast<std::size_t>(tag + 1 - at_));
    const std::string_view rest(tag + 1, static_cast<std::size_t>(end_ - tag - 1));
    const std::size_t close = rest.find(delimiter);
    if (close == std::string_view::npos) return false;
    return copy(rest.data() + close + delimiter.size());
  }

  bool number() {
    const char* to = at_;
    while (to < end_ && is_digit(*to)) ++to;
    if (is_word(before(1))) return copy(to);
    const bool fits = to - at_ <= kMostDigits;
    // `1..2` is the integer 1 before the range operator of PL/pgSQL.
    const bool decimal = to < end_ && *to == '.' && !(to + 1 < end_ && to[1] == '.');
    if (decimal) {
      ++to;
      while (to < end_ && is_digit(*to)) ++to;
    }
    if (to < end_ && is_word(*to)) {
      while (to < end_ && (is_word(*to) || *to == '.')) ++to;
      return copy(to);
    }
    if (decimal) return replace(to, kDecimal);
    return fits ? replace(to, kInteger) : copy(to);
  }

  /// Comments that may speak to us keep their words.
  bool comment(const char* to, char mark) {
    const std::string_view body(at_, static_cast<std::size_t>(to - at_));
    const bool speaks = body.find("yperdrive") != std::string_view::npos ||
                        body.find("YPERDRIVE") != std::string_view::npos;
    return speaks ? copy(to) : replace(to, mark);
  }

  bool line_comment() {
    const char* to = at_;
    while (to < end_ && *to != '\n' && *to != '\r') ++to;
    return comment(to, kLineComment);
  }

  bool block_comment() {
    std::size_t depth = 1;
    for (const char* to = at_ + 2; to + 1 < end_; ++to) {
      if (to[0] == '/' && to[1] == '*') {
        ++depth;
        ++to;
      } else if (to[0] == '*' && to[1] == '/') {
        ++to;
        if (--depth == 0) return comment(to + 1, kBlockComment);
      }
    }
    return false;
  }

  const char* begin_;
  const char* end_;
  const char* at_;
  char* out_;
  const char* first_out_ = out_;
};

}  // namespace

bool write_class_key(std::string_view text, std::string& out) {
  // No mark is longer than what it stands for.
  out.resize(text.size());
  Scan scan(text, out.data());
  if (!scan.run()) return false;
  out.resize(static_cast<std::size_t>(scan.out() - out.data()));
  return true;
}

}  // namespace hyperdrive::proxy::sql
