#include "core/wrangler/binding.hpp"

#include <array>

namespace hyperdrive::core::wrangler {
namespace {

/// The length of the white space character at the begin of `text`, 0 if there is none: what `\s`
/// matches in a JavaScript regular expression (ECMA-262, WhiteSpace and LineTerminator).
std::size_t white_space(std::string_view text) {
  if (text.find_first_of(" \t\n\v\f\r") == 0) return 1;
  static constexpr std::array<std::string_view, 9> kWide = {
      "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF",
      "\xE2\x81\x9F", "\xE3\x80\x80", "\xEF\xBB\xBF", "\xE2\x80\x8A"};
  for (const auto space : kWide) {
    if (text.starts_with(space)) return space.size();
  }
  // U+2000 to U+2009
  if (text.size() < 3 || !text.starts_with("\xE2\x80")) return 0;
  const auto last = static_cast<unsigned char>(text[2]);
  return last >= 0x80 && last <= 0x89 ? 3 : 0;
}

bool is_identifier_character(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

std::string valid_binding_name(std::string_view wanted) {
  std::string name;
  while (!wanted.empty()) {
    const std::size_t space = white_space(wanted);
    const bool underscore = space > 0 || wanted.front() == '-' || wanted.front() == '_';
    if (underscore && !name.ends_with('_')) name += '_';
    if (!underscore && is_identifier_character(wanted.front())) name += wanted.front();
    wanted.remove_prefix(space > 0 ? space : 1);
  }
  if (name.empty() || name == "_") return std::string(kDefaultBindingName);
  const bool digit = name.front() >= '0' && name.front() <= '9';
  return digit ? "_" + name : name;
}

}  // namespace hyperdrive::core::wrangler
