// Which of a few words stand in a statement's text, in any case and wherever they stand, found in
// one pass over it. Every text a session has not seen before goes through this: it costs three or
// four instructions a byte.
//
// Each word names one of its own letters that is rare in SQL, the anchor: only where an anchor
// stands is anything compared.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hyperdrive::proxy::session {

struct SoughtWord {
  std::string_view letters;  ///< in lower case
  char anchor;               ///< the first of this letter in `letters` is looked for
  std::uint32_t finding;     ///< bits that say it is there
};

template <std::size_t N>
class WordFinder {
 public:
  consteval explicit WordFinder(const SoughtWord (&words)[N]) {
    for (std::size_t i = 0; i < N; ++i) {
      const std::size_t offset = words[i].letters.find(words[i].anchor);
      if (offset == std::string_view::npos) throw "a word without its anchor";
      words_[i] = {words[i].letters, offset, words[i].finding, first_with(words[i].anchor)};
      first_with(words[i].anchor) = static_cast<std::uint8_t>(i + 1);
    }
  }

  /// The findings of all words that `text` contains.
  std::uint32_t find(std::string_view text) const {
    std::uint32_t found = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
      std::uint8_t next = first_[static_cast<unsigned char>(text[at])];
      while (next != 0) {
        const Word& word = words_[next - 1];
        if (is_at(text, at, word)) found |= word.finding;
        next = word.next;
      }
    }
    return found;
  }

 private:
  struct Word {
    std::string_view letters;
    std::size_t offset = 0;  // of its anchor
    std::uint32_t finding = 0;
    std::uint8_t next = 0;  // one more than the index of another word with this anchor, or 0
  };

  static constexpr char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }

  static bool is_at(std::string_view text, std::size_t at, const Word& word) {
    if (at < word.offset || text.size() - (at - word.offset) < word.letters.size()) return false;
    const char* start = text.data() + (at - word.offset);
    for (std::size_t i = 0; i < word.letters.size(); ++i) {
      if (lower(start[i]) != word.letters[i]) return false;
    }
    return true;
  }

  /// The place of the list of an anchor's words; both cases of a letter are kept alike.
  struct BothCases {
    std::uint8_t& low;
    std::uint8_t& high;
    constexpr operator std::uint8_t() const { return low; }
    constexpr void operator=(std::uint8_t value) const { low = high = value; }
  };
  constexpr BothCases first_with(char anchor) {
    const bool is_letter = anchor >= 'a' && anchor <= 'z';
    const auto low = static_cast<unsigned char>(anchor);
    return {first_[low], first_[is_letter ? low - 0x20 : low]};
  }

  std::array<std::uint8_t, 256> first_{};
  std::array<Word, N> words_{};
};

}  // namespace hyperdrive::proxy::session
