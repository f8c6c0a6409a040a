#include "proxy/session/mysql/text_info.hpp"

#include <algorithm>
#include <cctype>

#include "proxy/session/word_finder.hpp"
#include "proxy/sql/mysql_analysis.hpp"
#include "proxy/sql/mysql_builtins.hpp"

namespace hyperdrive::proxy::session::mysql {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool starts_with_word(std::string_view text, std::string_view word) {
  if (text.size() < word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (lower(text[i]) != word[i]) return false;
  }
  if (text.size() == word.size()) return true;
  const char next = text[word.size()];
  return !(std::isalnum(static_cast<unsigned char>(next)) || next == '_' || next == '$' ||
           static_cast<unsigned char>(next) >= 0x80);
}

bool contains_at(std::string_view text, std::size_t at, std::string_view word) {
  if (text.size() - at < word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (lower(text[at + i]) != word[i]) return false;
  }
  return true;
}

bool is_name_byte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

bool is_word_at(std::string_view text, std::size_t at, std::string_view word) {
  if (!contains_at(text, at, word) || (at > 0 && is_name_byte(text[at - 1]))) return false;
  return at + word.size() >= text.size() || !is_name_byte(text[at + word.size()]);
}

constexpr std::uint32_t kLeavesState = 1;
constexpr std::uint32_t kSemicolon = 2;
constexpr std::uint32_t kMaybeSequence = 4;  ///< NEXT VALUE FOR, if it is a word of its own

constexpr WordFinder kWords({
    {"@", '@', kLeavesState},
    {"/*!", '!', kLeavesState},
    {"/*m!", '!', kLeavesState},
    {"last_insert_id", '_', kLeavesState},
    {"lastval", 'v', kLeavesState},
    {"found_rows", '_', kLeavesState},
    {"get_lock", '_', kLeavesState},
    {"row_count", '_', kLeavesState},
    {"release_", '_', kLeavesState},
    {"nextval", 'v', kLeavesState},
    {"setval", 'v', kLeavesState},
    {"next", 'x', kMaybeSequence},
    {"previous", 'v', kMaybeSequence},
    {";", ';', kSemicolon},
});

bool has_word(std::string_view text, std::string_view word) {
  for (std::size_t i = 0; i + word.size() <= text.size(); ++i) {
    if (is_word_at(text, i, word)) return true;
  }
  return false;
}

/// Whether anything but blanks stands behind a semicolon.
bool has_second_statement(std::string_view text) {
  for (std::size_t i = text.find(';'); i != text.npos; i = text.find(';', i + 1)) {
    std::size_t rest = i + 1;
    while (rest < text.size() && is_space(text[rest])) ++rest;
    if (rest != text.size()) return true;
  }
  return false;
}

/// Whether something in the text needs a real look, wherever it stands, be it in a literal: a
/// second statement, an executable comment, a variable, or a word of what leaves something behind.
bool is_suspicious(std::string_view text) {
  const std::uint32_t words = kWords.find(text);
  if ((words & kLeavesState) != 0) return true;
  if ((words & kSemicolon) != 0 && has_second_statement(text)) return true;
  return (words & kMaybeSequence) != 0 && (has_word(text, "next") || has_word(text, "previous"));
}

/// The word that ends before `end`, blanks skipped; moves `end` to its beginning.
std::string_view word_before(std::string_view text, std::size_t& end) {
  while (end > 0 && is_space(text[end - 1])) --end;
  const std::size_t stop = end;
  while (end > 0 && is_name_byte(text[end - 1])) --end;
  return text.substr(end, stop - end);
}

/// Functions of the server's that change or tell something, but leave nothing in the session.
bool is_harmless_function(std::string_view name) {
  constexpr std::array<std::string_view, 31> kNames = {
      "now",         "last_insert_id", "found_rows",   "row_count",     "nextval",
      "lastval",     "load_file",      "random_bytes", "sysdate",       "curdate",
      "curtime",     "uuid",           "uuid_short",   "rand",          "sleep",
      "benchmark",   "database",       "schema",       "user",          "session_user",
      "system_user", "current_user",   "version",      "connection_id", "utc_date",
      "utc_time",    "utc_timestamp",  "current_date", "current_time",  "current_timestamp",
      "default"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

/// Whether a comment, or a name in double quotes, may end before `end`, blanks skipped.
bool hides_a_name(std::string_view text, std::size_t end) {
  std::size_t at = end;
  while (at > 0 && is_space(text[at - 1])) --at;
  if (at == 0) return false;
  if (text[at - 1] == '"' || (text[at - 1] == '/' && at > 1 && text[at - 2] == '*')) return true;
  const std::string_view blanks = text.substr(at, end - at);
  if (blanks.find('\n') == blanks.npos) return false;
  const std::size_t before = text.rfind('\n', at - 1);
  const std::string_view line =
      text.substr(before == text.npos ? 0 : before, at - (before == text.npos ? 0 : before));
  return line.find("--") != line.npos || line.find('#') != line.npos;
}

/// Whether it may call a stored function: a name before a parenthesis that is no function of the
/// server's, and no list of columns either (INSERT INTO t (…), WITH x (…) AS).
bool calls_unknown(std::string_view text) {
  for (std::size_t i = text.find('('); i != text.npos; i = text.find('(', i + 1)) {
    if (i > 0 && (text[i - 1] == '(' || text[i - 1] == ',')) continue;
    std::size_t at = i;
    if (hides_a_name(text, at)) return true;
    const std::string_view word = word_before(text, at);
    std::size_t point = at;
    while (point > 0 && is_space(text[point - 1])) --point;
    const bool is_qualified = point > 0 && text[point - 1] == '.';
    if (word.empty()) {
      if (at > 0 && text[at - 1] == '`') {
        // A quoted name: a table's behind INTO, else perhaps a function's.
        const std::size_t open = at >= 2 ? text.rfind('`', at - 2) : text.npos;
        if (open == text.npos) return true;
        at = open;
      } else {
        continue;
      }
    } else {
      std::array<char, 64> buffer;
      if (word.size() > buffer.size()) return true;
      for (std::size_t k = 0; k < word.size(); ++k) buffer[k] = lower(word[k]);
      const std::string_view name(buffer.data(), word.size());
      const bool is_own = std::isdigit(static_cast<unsigned char>(name.front())) ||
                          sql::mysql_is_no_function(name) ||
                          sql::mysql_function_is_cacheable(name, true) ||
                          is_harmless_function(name);
      if (is_own && !is_qualified) continue;
    }
    // `x`.`y` and x.y: step to the first part.
    if (is_qualified) at = point;
    while (at > 0 && (text[at - 1] == '.' || text[at - 1] == '`')) {
      --at;
      while (at > 0 && (is_name_byte(text[at - 1]) || text[at - 1] == '`')) --at;
    }
    const std::string_view before = word_before(text, at);
    if (!contains_at(before, 0, "into") && !contains_at(before, 0, "insert") &&
        !contains_at(before, 0, "replace") && !contains_at(before, 0, "with") &&
        !contains_at(before, 0, "recursive") && !contains_at(before, 0, "as") &&
        !contains_at(before, 0, "ignore")) {
      return true;
    }
  }
  return false;
}

}  // namespace

Glance glance(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size() && (is_space(text[at]) || text[at] == '(')) ++at;
  const std::string_view rest = text.substr(at);
  for (const std::string_view word : {"select", "values", "table"}) {
    if (starts_with_word(rest, word)) {
      const bool plain = !is_suspicious(rest);
      return {plain, plain};
    }
  }
  for (const std::string_view word : {"insert", "update", "delete", "replace", "with"}) {
    if (starts_with_word(rest, word)) return {!is_suspicious(rest), false};
  }
  return {};
}

TextMemo::Index& TextMemo::index(sql::MysqlLexing lexing) {
  return indexes_[(lexing.ansi_quotes ? 1 : 0) | (lexing.no_backslash_escapes ? 2 : 0) |
                  (lexing.unsafe_charset ? 4 : 0)];
}

const sql::Analysis& TextMemo::analysis(TextInfo& info) {
  if (!info.analysis) info.analysis = sql::analyse_mysql(info.text, info.lexing);
  return *info.analysis;
}

TextRef TextMemo::get(std::string_view text, sql::MysqlLexing lexing) {
  if (text.size() > kMaxKept) return make(text, lexing);
  Index& known = index(lexing);
  if (const auto found = known.find(text); found != known.end()) {
    found->second->used_ = true;
    return found->second;
  }
  if (is_full_for(text)) {
    const bool again = latest_ && latest_->text == text && &index(latest_->lexing) == &known;
    if (again) return latest_;
    if (!doorkeeper_.knows(known.hash_function()(text))) return latest_ = make(text, lexing);
    while (is_full_for(text)) evict();
  }
  TextRef info = make(text, lexing);
  known.emplace(info->text, info);
  ring_.push_back(info.get());
  bytes_ += text.size();
  return info;
}

TextRef TextMemo::make(std::string_view text, sql::MysqlLexing lexing) {
  TextRef info(new TextInfo);
  info->text = text;
  info->lexing = lexing;
  const Glance seen = lexing.unsafe_charset ? Glance{} : glance(text);
  info->plain = seen.plain;
  info->read_only = seen.read_only;
  info->hidden = calls_unknown(text);
  if (!seen.plain) analysis(*info);
  return info;
}

TextRef TextMemo::cut(std::string_view beginning, sql::MysqlLexing lexing) {
  constexpr std::size_t kShown = 4096;  // to people
  TextRef info(new TextInfo);
  info->text = beginning.substr(0, kShown);
  info->lexing = lexing;
  info->plain = false;
  info->hidden = info->cut = true;
  info->analysis = sql::unread_mysql("a text of over 16 MB", 16 << 20);
  return info;
}

/// The clock algorithm: whoever was not asked for since the last round goes.
void TextMemo::evict() {
  while (true) {
    if (hand_ >= ring_.size()) hand_ = 0;
    TextInfo* candidate = ring_[hand_];
    if (candidate->used_) {
      candidate->used_ = false;
      ++hand_;
      continue;
    }
    ring_[hand_] = ring_.back();
    ring_.pop_back();
    bytes_ -= candidate->text.size();
    index(candidate->lexing).erase(candidate->text);
    return;
  }
}

}  // namespace hyperdrive::proxy::session::mysql
