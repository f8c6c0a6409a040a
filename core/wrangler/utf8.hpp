// The few bits of UTF-8 that the scanners need. Pure.
#pragma once

#include <string>

namespace hyperdrive::core::wrangler {

/// `code` up to 0x10FFFF.
inline void append_utf8(std::string& out, unsigned long code) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | ((code >> 18) & 0x07));
    tail(12);
    tail(6);
    tail(0);
  }
}

/// -1: not a hexadecimal digit.
inline int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char letter = static_cast<char>(c | 0x20);
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

}  // namespace hyperdrive::core::wrangler
