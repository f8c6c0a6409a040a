#include "core/secrets/random.hpp"

#include <openssl/rand.h>

#include <array>
#include <cstdlib>

namespace hyperdrive::core {
namespace {

std::string hexadecimal(const std::string& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const unsigned char byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

}  // namespace

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  // Without randomness nothing here may go on: a guessable key is worse than no program.
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) != 1)
    std::abort();
  return bytes;
}

std::string random_id() { return hexadecimal(random_bytes(16)); }

std::string random_uuid() {
  std::string bytes = random_bytes(16);
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
  std::string text = hexadecimal(bytes);
  for (const std::size_t dash : {8, 13, 18, 23}) text.insert(dash, 1, '-');
  return text;
}

Secret random_password(std::size_t length) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  // Bytes of 248 and above would favour the first letters.
  constexpr unsigned kUnbiased = 256 / kAlphabet.size() * kAlphabet.size();
  std::string text;
  while (text.size() < length)
    for (const unsigned char byte : random_bytes(length))
      if (byte < kUnbiased && text.size() < length)
        text.push_back(kAlphabet[byte % kAlphabet.size()]);
  return Secret(std::move(text));
}

}  // namespace hyperdrive::core
