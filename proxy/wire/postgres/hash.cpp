#include "proxy/wire/postgres/hash.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <cstdlib>
#include <memory>

namespace hyperdrive::proxy::wire::postgres {
namespace {

// Fetching an algorithm takes locks and microseconds in OpenSSL 3: once a process, and one context
// a thread.
const EVP_MD* sha256_algorithm() {
  static const EVP_MD* algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm;
}

EVP_MD_CTX* context() {
  thread_local const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(
      EVP_MD_CTX_new(), EVP_MD_CTX_free);
  return context.get();
}

Sha256 sha256(Bytes first, Bytes second) {
  Sha256 hash;
  // SHA-256 in memory fails only when memory is out; a wrong hash must never be used.
  if (EVP_DigestInit_ex2(context(), sha256_algorithm(), nullptr) != 1 ||
      EVP_DigestUpdate(context(), first.data(), first.size()) != 1 ||
      EVP_DigestUpdate(context(), second.data(), second.size()) != 1 ||
      EVP_DigestFinal_ex(context(), reinterpret_cast<unsigned char*>(hash.data()), nullptr) != 1) {
    std::abort();
  }
  return hash;
}

std::string hex(Bytes bytes) {
  constexpr Bytes kDigits = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    text.push_back(kDigits[static_cast<unsigned char>(byte) >> 4]);
    text.push_back(kDigits[static_cast<unsigned char>(byte) & 15]);
  }
  return text;
}

std::string md5_hex(Bytes first, Bytes second) {
  char hash[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  std::string input;
  input.reserve(first.size() + second.size());
  input.append(first).append(second);
  const int done = EVP_Digest(input.data(), input.size(), reinterpret_cast<unsigned char*>(hash),
                              &size, EVP_md5(), nullptr);
  OPENSSL_cleanse(input.data(), input.size());
  return done == 1 ? hex({hash, size}) : std::string();
}

}  // namespace

Sha256 sha256(Bytes data) { return sha256(data, {}); }

Sha256 hmac_sha256(Bytes key, Bytes data) {
  constexpr std::size_t kBlock = 64;
  Sha256 short_key;
  if (key.size() > kBlock) {
    short_key = sha256(key);
    key = view(short_key);
  }
  char inner[kBlock], outer[kBlock];
  for (std::size_t i = 0; i < kBlock; ++i) {
    const char byte = i < key.size() ? key[i] : '\0';
    inner[i] = static_cast<char>(byte ^ 0x36);
    outer[i] = static_cast<char>(byte ^ 0x5c);
  }
  const Sha256 hash = sha256({inner, kBlock}, data);
  const Sha256 result = sha256({outer, kBlock}, view(hash));
  OPENSSL_cleanse(inner, sizeof inner);
  OPENSSL_cleanse(outer, sizeof outer);
  return result;
}

Sha256 pbkdf2_sha256(Bytes password, Bytes salt, int rounds) {
  Sha256 key;
  if (PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                        reinterpret_cast<const unsigned char*>(salt.data()),
                        static_cast<int>(salt.size()), rounds, sha256_algorithm(),
                        static_cast<int>(key.size()),
                        reinterpret_cast<unsigned char*>(key.data())) != 1) {
    std::abort();
  }
  return key;
}

bool equal_constant_time(Bytes a, Bytes b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) != 1) {
    std::abort();
  }
  return bytes;
}

std::string md5_password(const core::Secret& password, Bytes user, Bytes salt) {
  const std::string inner = md5_hex(password.reveal(), user);
  if (inner.empty()) return {};
  return "md5" + md5_hex(inner, salt);
}

}  // namespace hyperdrive::proxy::wire::postgres
