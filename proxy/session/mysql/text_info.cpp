#include "proxy/session/mysql/text_info.hpp"

#include <algorithm>
#include <bit>
#include <cctype>
#include <cstring>

#include "proxy/session/word_finder.hpp"
#include "proxy/sql/mysql_analysis.hpp"
#include "proxy/sql/mysql_builtins.hpp"
#include "proxy/sql/word_set.hpp"

namespace hyperdrive::proxy::session::mysql {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

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
    {"currval", 'v', kLeavesState},
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

/// Which bytes stand in a text, of those that make a closer look necessary. Found 16 at a time, as
/// every text goes through this: a good instruction a byte.
struct Marks {
  bool anchors = false;      ///< those by which kWords looks for its words
  bool parentheses = false;  ///< opening ones
};

using Block [[gnu::vector_size(16)]] = unsigned char;

struct MarkMasks {
  Block anchors{}, parentheses{};

  void add(const char* bytes) {
    Block block;
    std::memcpy(&block, bytes, sizeof block);
    const Block lower = block | 0x20;
    anchors |= reinterpret_cast<Block>((block == '@') | (block == '!') | (block == '_') |
                                       (block == ';') | (lower == 'v') | (lower == 'x'));
    parentheses |= reinterpret_cast<Block>(block == '(');
  }
  static bool any(const Block& mask) {
    std::uint64_t halves[2];
    std::memcpy(halves, &mask, sizeof halves);
    return (halves[0] | halves[1]) != 0;
  }
  Marks marks() const { return {any(anchors), any(parentheses)}; }
};

Marks marks_of(std::string_view text) {
  MarkMasks masks;
  constexpr std::size_t kBlock = sizeof(Block);
  if (text.size() < kBlock) {
    char padded[kBlock] = {};
    std::memcpy(padded, text.data(), text.size());
    masks.add(padded);
    return masks.marks();
  }
  const char* const last = text.data() + text.size() - kBlock;
  for (const char* at = text.data(); at < last; at += kBlock) masks.add(at);
  masks.add(last);  // over the one before it, perhaps
  return masks.marks();
}

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
  static constexpr sql::WordSet kSet(kNames);
  return kSet.contains(name);
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

/// A word that a plain text begins with, compared as one number.
struct FirstWord {
  std::uint64_t letters = 0, mask = 0;
  std::size_t size = 0;
  bool reads = false;

  consteval FirstWord(std::string_view word, bool reads_in) : size(word.size()), reads(reads_in) {
    std::array<char, sizeof letters> bytes{}, used{};
    for (std::size_t i = 0; i < word.size(); ++i) {
      bytes[i] = word[i];
      used[i] = '\xff';
    }
    letters = std::bit_cast<std::uint64_t>(bytes);
    mask = std::bit_cast<std::uint64_t>(used);
  }
};

constexpr FirstWord kFirstWords[] = {{"select", true},  {"insert", false},  {"update", false},
                                     {"delete", false}, {"replace", false}, {"with", false},
                                     {"values", true},  {"table", true}};

/// `rest`: the text from its first word on.
Glance first_word(std::string_view text, std::string_view& rest) {
  std::size_t at = 0;
  while (at < text.size() && (is_space(text[at]) || text[at] == '(')) ++at;
  rest = text.substr(at);
  constexpr std::uint64_t kLower = 0x2020202020202020;
  std::uint64_t head = 0;
  if (rest.size() >= sizeof head) {
    std::memcpy(&head, rest.data(), sizeof head);
  } else if (!rest.empty()) {
    std::memcpy(&head, rest.data(), rest.size());
  }
  for (const FirstWord& word : kFirstWords) {
    if (((head | kLower) & word.mask) != word.letters) continue;
    const bool ends = rest.size() == word.size || !is_name_byte(rest[word.size]);
    return {ends, ends && word.reads};
  }
  return {};
}

/// What nobody refers to any more, with the memory of its text, for the next of this thread: a text
/// that is looked at once allocates nothing.
class Spares {
 public:
  std::unique_ptr<TextInfo> take() {
    if (spares_.empty()) return nullptr;
    std::unique_ptr<TextInfo> last = std::move(spares_.back());
    spares_.pop_back();
    return last;
  }
  void give(std::unique_ptr<TextInfo> info) {
    constexpr std::size_t kMost = 32, kMostBytes = 1024;
    if (spares_.size() >= kMost || info->text.capacity() > kMostBytes) return;
    info->analysis.reset();
    info->gate_data.reset();
    spares_.push_back(std::move(info));
  }

 private:
  std::vector<std::unique_ptr<TextInfo>> spares_;
};
thread_local Spares spares;

}  // namespace

Glance glance(std::string_view text) {
  std::string_view rest;
  Glance seen = first_word(text, rest);
  if (!seen.plain) return {false, false, calls_unknown(text)};
  const Marks marks = marks_of(text);
  seen.plain = !marks.anchors || !is_suspicious(rest);
  seen.read_only = seen.plain && seen.read_only;
  seen.hidden = marks.parentheses && calls_unknown(text);
  return seen;
}

bool only_defines(const sql::Analysis& analysis) {
  constexpr std::array<std::string_view, 6> kWords = {"CREATE", "ALTER", "DROP",
                                                      "RENAME", "GRANT", "REVOKE"};
  const auto defines = [&](const sql::Statement& one) {
    return std::find(kWords.begin(), kWords.end(), one.command) != kWords.end();
  };
  return analysis.functions.empty() && !analysis.mysql.has_executable_comment &&
         std::all_of(analysis.statements.begin(), analysis.statements.end(), defines);
}

bool is_set(const sql::Statement& statement) {
  return statement.effect == sql::Effect::kSet || statement.effect == sql::Effect::kSetLocal ||
         (statement.command == "SET" && (statement.state & sql::state::kUnknown) == 0);
}

bool is_compound(const sql::Statement& statement) {
  constexpr std::array<std::string_view, 8> kWords = {"BEGIN",  "IF",    "CASE", "LOOP",
                                                      "REPEAT", "WHILE", "FOR",  "DECLARE"};
  return statement.effect == sql::Effect::kUnknownWrite &&
         std::find(kWords.begin(), kWords.end(), statement.command) != kWords.end();
}

std::uint16_t states_of(const sql::Analysis& analysis) {
  std::uint16_t bits = 0;
  for (const sql::Statement& statement : analysis.statements) bits |= statement.state;
  return bits;
}

void TextInfo::dismiss(TextInfo* info) { spares.give(std::unique_ptr<TextInfo>(info)); }

std::size_t TextMemo::number(sql::MysqlLexing lexing) {
  return (lexing.ansi_quotes ? 1 : 0) | (lexing.no_backslash_escapes ? 2 : 0) |
         (lexing.unsafe_charset ? 4 : 0);
}

TextRef TextMemo::like(TextInfo& info) {
  if (!info.plain || info.cut) return &info;
  // Texts that are read in different ways are not alike.
  shape_.assign(1, static_cast<char>(number(info.lexing)));
  if (!sql::append_mysql_shape(shape_, info.text, info.lexing)) return &info;
  if (const auto known = likes_.find(shape_); known != likes_.end()) return known->second;
  if (likes_.size() >= kMaxShapes || like_bytes_ + shape_.size() > kMaxShapeBytes) {
    likes_.clear();
    like_bytes_ = 0;
  }
  TextRef first = make(info.text, info.lexing, {info.plain, info.read_only, info.hidden});
  likes_.emplace(shape_, first);
  like_bytes_ += shape_.size();
  return first;
}

void TextMemo::analyse(TextInfo& info) {
  if (info.analysis) return;
  const TextRef alike = like(info);
  analysis(*alike);
  info.analysis = alike->analysis;
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

TextRef TextMemo::look(std::string_view text, sql::MysqlLexing lexing) {
  if (!lexing.unsafe_charset && text.size() <= kMaxKept) {
    const Glance seen = glance(text);
    if (seen.plain && !seen.hidden) return make(text, lexing, seen);
  }
  return get(text, lexing);
}

TextRef TextMemo::make(std::string_view text, sql::MysqlLexing lexing) {
  if (!lexing.unsafe_charset) return make(text, lexing, glance(text));
  return make(text, lexing, {false, false, calls_unknown(text)});
}

TextRef TextMemo::make(std::string_view text, sql::MysqlLexing lexing, const Glance& seen) {
  std::unique_ptr<TextInfo> spare = spares.take();
  TextRef info(spare ? spare.release() : new TextInfo);
  info->text = text;
  info->lexing = lexing;
  info->plain = seen.plain;
  info->read_only = seen.read_only;
  info->hidden = seen.hidden;
  info->cut = false;
  info->used_ = true;
  if (!seen.plain) info->hidden = seen.hidden && !only_defines(analysis(*info));
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
