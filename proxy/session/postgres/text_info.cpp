#include "proxy/session/postgres/text_info.hpp"

#include <algorithm>
#include <array>
#include <cctype>

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

bool contains_at(std::string_view text, std::size_t at, std::string_view word) {
  if (text.size() - at < word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (lower(text[at + i]) != word[i]) return false;
  }
  return true;
}

bool contains_word(std::string_view text, std::string_view word) {
  const auto same = [](char a, char b) { return lower(a) == b; };
  return std::search(text.begin(), text.end(), word.begin(), word.end(), same) != text.end();
}

/// Whether something in the text needs a real look: a second statement, or a word (wherever it
/// stands, be it in a literal) of a function or clause that leaves something behind.
bool is_suspicious(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    switch (text[i]) {
      case ';': {
        const std::size_t rest = skip_blanks(text, i + 1);
        if (rest != text.size()) return true;
        break;
      }
      case '&':  // U&"…" may spell any name
        if (i > 0 && lower(text[i - 1]) == 'u') return true;
        break;
      case 'a':
      case 'A':
        if (contains_at(text, i, "advisory")) return true;
        break;
      case 'd':
      case 'D':
        if (contains_at(text, i, "dblink_")) return true;
        break;
      case 's':
      case 'S':
        if (contains_at(text, i, "set_config") || contains_at(text, i, "setseed") ||
            contains_at(text, i, "set_limit")) {
          return true;
        }
        break;
      case 'p':
      case 'P':
        if (contains_at(text, i, "pg_settings") || contains_at(text, i, "pg_backup_start") ||
            contains_at(text, i, "pg_start_backup")) {
          return true;
        }
        break;
      case 'r':
      case 'R':
        if (contains_at(text, i, "replication_")) return true;
        break;
      case 't':
      case 'T':
        if (contains_at(text, i, "temp") || contains_at(text, i, "to_xml") ||
            contains_at(text, i, "ts_stat") || contains_at(text, i, "ts_rewrite")) {
          return true;
        }
        break;
      default:
        break;
    }
  }
  return false;
}

}  // namespace

Glance glance(std::string_view text) {
  std::size_t at = skip_blanks(text, 0);
  while (at < text.size() && text[at] == '(') at = skip_blanks(text, at + 1);
  if (at >= text.size()) return {at == text.size(), false};
  const std::string_view rest = text.substr(at);
  static constexpr std::array<std::string_view, 3> kReads = {"select", "values", "table"};
  static constexpr std::array<std::string_view, 4> kWrites = {"insert", "update", "delete", "with"};
  for (const std::string_view word : kReads) {
    if (starts_with_word(rest, word)) {
      const bool plain = !is_suspicious(rest);
      return {plain, plain};
    }
  }
  for (const std::string_view word : kWrites) {
    if (starts_with_word(rest, word)) return {!is_suspicious(rest), false};
  }
  return {};
}

TextRef TextMemo::make(std::string_view text) {
  TextRef info(new TextInfo);
  info->text = text;
  const Glance seen = glance(text);
  info->plain = seen.plain;
  info->read_only = seen.read_only;
  info->terminates = contains_word(text, "pg_terminate_backend");
  info->asks_sequences = contains_word(text, "lastval") || contains_word(text, "currval");
  info->moves_sequences =
      !info->read_only || contains_word(text, "nextval") || contains_word(text, "setval");
  info->may_copy_in = !seen.plain && contains_word(text, "copy");
  if (!seen.plain) analysis(*info);
  return info;
}

const sql::Analysis& TextMemo::analysis(TextInfo& info) {
  if (!info.analysis) info.analysis = analyses_.get(info.text);
  return *info.analysis;
}

TextRef TextMemo::get(std::string_view text) {
  if (text.size() > kMaxKept) return make(text);
  if (const auto found = index_.find(text); found != index_.end()) {
    found->second->used_ = true;
    return found->second;
  }
  if (is_full_for(text)) {
    if (latest_ && latest_->text == text) return latest_;
    if (!doorkeeper_.knows(index_.hash_function()(text))) return latest_ = make(text);
    while (is_full_for(text)) evict();
  }
  TextRef info = make(text);
  index_.emplace(info->text, info);
  ring_.push_back(info.get());
  bytes_ += text.size();
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
    index_.erase(candidate->text);
    return;
  }
}

}  // namespace hyperdrive::proxy::session::postgres
