#include "proxy/session/postgres/text_info.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>

#include "proxy/session/word_finder.hpp"

namespace hyperdrive::proxy::session::postgres {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// Skips blanks and comments; npos if a comment does not end.
std::size_t skip_blanks(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    if (is_space(text[at])) {
      ++at;
    } else if (text.substr(at, 2) == "--") {
      at = text.find_first_of("\r\n", at);
      if (at == std::string_view::npos) return text.size();
    } else if (text.substr(at, 2) == "/*") {
      // Comments nest; a nested one is left to the real lexer.
      const auto end = text.find("*/", at + 2);
      if (end == std::string_view::npos) return std::string_view::npos;
      if (text.substr(at + 2, end - at - 2).find("/*") != std::string_view::npos) {
        return std::string_view::npos;
      }
      at = end + 2;
    } else {
      break;
    }
  }
  return at;
}

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

// What a word says, wherever it stands, be it in a literal.
constexpr std::uint32_t kLeavesState = 1;  ///< a function or clause that leaves something behind
constexpr std::uint32_t kSemicolon = 2;
constexpr std::uint32_t kTerminates = 4;
constexpr std::uint32_t kAsksSequences = 8;
constexpr std::uint32_t kMovesSequences = 16;
constexpr std::uint32_t kCopies = 32;

constexpr WordFinder kWords({
    {"advisory", 'v', kLeavesState},
    {"dblink_", '_', kLeavesState},
    {"set_config", '_', kLeavesState},
    {"setseed", 'd', kLeavesState},
    {"set_limit", '_', kLeavesState},
    {"pg_settings", '_', kLeavesState},
    {"pg_backup_start", '_', kLeavesState},
    {"pg_start_backup", '_', kLeavesState},
    {"replication_", '_', kLeavesState},
    {"temp", 'p', kLeavesState},
    {"to_xml", '_', kLeavesState},
    {"ts_stat", '_', kLeavesState},
    {"ts_rewrite", '_', kLeavesState},
    {"u&", '&', kLeavesState},  // U&"…" may spell any name
    {";", ';', kSemicolon},
    {"pg_terminate_backend", '_', kTerminates},
    {"lastval", 'v', kAsksSequences},
    {"currval", 'v', kAsksSequences},
    {"nextval", 'v', kMovesSequences},
    {"setval", 'v', kMovesSequences},
    {"copy", 'y', kCopies},
});

/// Wherever it stands, be it in a literal or in another word.
std::uint16_t count_word(std::string_view text, std::string_view word) {
  const auto same = [](char a, char b) { return lower(a) == b; };
  constexpr int kMost = std::numeric_limits<std::uint16_t>::max();
  int count = 0;
  for (auto at = text.begin(); count < kMost; at += static_cast<std::ptrdiff_t>(word.size())) {
    at = std::search(at, text.end(), word.begin(), word.end(), same);
    if (at == text.end()) break;
    ++count;
  }
  return static_cast<std::uint16_t>(count);
}

/// Whether anything but blanks stands behind a semicolon.
bool has_second_statement(std::string_view text) {
  for (std::size_t i = text.find(';'); i != text.npos; i = text.find(';', i + 1)) {
    if (skip_blanks(text, i + 1) != text.size()) return true;
  }
  return false;
}

/// Whether something in the text needs a real look.
bool is_suspicious(std::string_view text, std::uint32_t words) {
  return (words & kLeavesState) != 0 || ((words & kSemicolon) != 0 && has_second_statement(text));
}

/// They move no sequence, whatever is asked for in the transaction about them.
bool only_frames(const sql::Analysis& analysis) {
  using sql::Effect;
  return !analysis.statements.empty() &&
         std::ranges::all_of(analysis.statements, [](const sql::Statement& statement) {
           static constexpr std::array kFrames = {
               Effect::kBegin,   Effect::kCommit,     Effect::kRollback, Effect::kSavepoint,
               Effect::kRelease, Effect::kRollbackTo, Effect::kSet,      Effect::kSetLocal,
               Effect::kReset,   Effect::kDiscard,    Effect::kShow,     Effect::kDeallocate};
           return std::ranges::find(kFrames, statement.effect) != kFrames.end();
         });
}

Glance glance_at(std::string_view text, std::uint32_t words) {
  std::size_t at = skip_blanks(text, 0);
  while (at < text.size() && text[at] == '(') at = skip_blanks(text, at + 1);
  if (at >= text.size()) return {at == text.size(), false};
  const std::string_view rest = text.substr(at);
  static constexpr std::array<std::string_view, 3> kReads = {"select", "values", "table"};
  static constexpr std::array<std::string_view, 4> kWrites = {"insert", "update", "delete", "with"};
  const auto begins = [rest](std::string_view word) { return starts_with_word(rest, word); };
  const bool reads = std::ranges::any_of(kReads, begins);
  if (!reads && !std::ranges::any_of(kWrites, begins)) return {};
  const bool plain = !is_suspicious(rest, words);
  return {plain, plain && reads};
}

}  // namespace

Glance glance(std::string_view text) { return glance_at(text, kWords.find(text)); }

void TextMemo::look_at(TextInfo& info) {
  const std::uint32_t words = kWords.find(info.text);
  const Glance seen = glance_at(info.text, words);
  info.plain = seen.plain;
  info.read_only = seen.read_only;
  info.terminates = (words & kTerminates) != 0;
  info.asks_sequences = (words & kAsksSequences) != 0;
  info.moves_sequences = !info.read_only || (words & kMovesSequences) != 0;
  const bool copies = !seen.plain && (words & kCopies) != 0;
  info.copies = copies ? count_word(info.text, "copy") : std::uint16_t{0};
  if (!seen.plain && only_frames(analysis(info))) info.moves_sequences = false;
}

const sql::Analysis& TextMemo::analysis(TextInfo& info) {
  if (!info.analysis) info.analysis = analyses_.get(info.text);
  return *info.analysis;
}

TextRef TextMemo::get(std::string_view text, bool may_be_the_only_time) {
  if (text.size() > kMaxKept) {
    if (!latest_large_ || latest_large_->text != text) latest_large_ = made(text);
    return latest_large_;
  }
  const Key key = key_of(text);
  if (const auto found = index_.find(key); found != index_.end()) {
    found->second->used_ = true;
    return found->second;
  }
  if (may_be_the_only_time || is_full_for(text)) {
    if (latest_ && latest_->text == text) return latest_;
    if (!doorkeeper_.knows(key.hash)) return passing(text);
    while (is_full_for(text)) evict();
  }
  TextRef info = made(text);
  index_.emplace(Key{info->text, key.hash}, info);
  ring_.push_back(info.get());
  bytes_ += text.size();
  return info;
}

TextRef TextMemo::made(std::string_view text) {
  TextRef info(new TextInfo);
  info->text = text;
  look_at(*info);
  return info;
}

/// In the place of the one that passed before, unless somebody still holds it.
TextRef TextMemo::passing(std::string_view text) {
  const bool is_free = latest_ && latest_->references_ == 1 && !latest_->has_followers();
  if (!is_free) return latest_ = made(text);
  latest_->text = text;
  look_at(*latest_);
  return latest_;
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
    index_.erase(key_of(candidate->text));
    return;
  }
}

}  // namespace hyperdrive::proxy::session::postgres
