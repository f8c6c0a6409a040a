#include "proxy/wire/mysql/auth.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include <cstdlib>
#include <initializer_list>
#include <memory>

namespace hyperdrive::proxy::wire::mysql {
namespace {

std::string hash(const EVP_MD* algorithm, std::initializer_list<Bytes> parts) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  bool ok = EVP_DigestInit_ex(context.get(), algorithm, nullptr) == 1;
  for (const Bytes part : parts) {
    ok = ok && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
  }
  ok = ok && EVP_DigestFinal_ex(context.get(), bytes, &size) == 1;
  if (!ok) std::abort();  // out of memory: a wrong hash must never be used
  return {reinterpret_cast<const char*>(bytes), size};
}

std::string exclusive_or(Bytes a, Bytes b) {
  std::string result(a);
  for (std::size_t i = 0; i < result.size(); ++i) {
    result[i] = static_cast<char>(result[i] ^ b[i % b.size()]);
  }
  return result;
}

bool same(Bytes a, Bytes b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

/// For a key that says it is encrypted: OpenSSL would ask at the terminal.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writes*/, void* /*data*/) { return -1; }

/// From an answer, which hides the hash of the password under `mask`: is it the hash whose own hash
/// the verifier keeps?
bool unmasks(const EVP_MD* algorithm, Bytes answer, Bytes mask, Bytes kept) {
  if (answer.size() != mask.size()) return false;
  return same(hash(algorithm, {exclusive_or(answer, mask)}), kept);
}

}  // namespace

PasswordVerifier PasswordVerifier::of(const core::Secret& password) {
  if (password.empty()) return {};
  return {hash(EVP_sha1(), {hash(EVP_sha1(), {password.reveal()})}),
          hash(EVP_sha256(), {hash(EVP_sha256(), {password.reveal()})})};
}

std::string make_scramble() {
  std::string scramble(kScrambleSize, '\0');
  for (char& byte : scramble) {
    do {
      if (RAND_bytes(reinterpret_cast<unsigned char*>(&byte), 1) != 1) std::abort();
      byte = static_cast<char>(byte & 0x7f);
    } while (byte == '\0' || byte == '$');
  }
  return scramble;
}

std::string native_password(const core::Secret& password, Bytes scramble) {
  if (password.empty()) return {};
  const std::string once = hash(EVP_sha1(), {password.reveal()});
  return exclusive_or(once, hash(EVP_sha1(), {scramble, hash(EVP_sha1(), {once})}));
}

bool check_native_password(const PasswordVerifier& verifier, Bytes scramble, Bytes answer) {
  if (verifier.sha1_twice.empty()) return answer.empty();
  const std::string mask = hash(EVP_sha1(), {scramble, verifier.sha1_twice});
  return unmasks(EVP_sha1(), answer, mask, verifier.sha1_twice);
}

std::string caching_sha2_password(const core::Secret& password, Bytes scramble) {
  if (password.empty()) return {};
  const std::string once = hash(EVP_sha256(), {password.reveal()});
  return exclusive_or(once, hash(EVP_sha256(), {hash(EVP_sha256(), {once}), scramble}));
}

bool check_caching_sha2_password(const PasswordVerifier& verifier, Bytes scramble, Bytes answer) {
  if (verifier.sha256_twice.empty()) return answer.empty();
  const std::string mask = hash(EVP_sha256(), {verifier.sha256_twice, scramble});
  return unmasks(EVP_sha256(), answer, mask, verifier.sha256_twice);
}

std::string clear_password(const core::Secret& password) {
  return std::string(password.reveal()) + '\0';
}

core::Result<std::string> rsa_password(const core::Secret& password, Bytes scramble,
                                       Bytes key_pem) {
  const auto failed = core::fail("The origin's RSA key for caching_sha2_password cannot be used.",
                                 "Use TLS to the origin.");
  if (scramble.empty()) return failed;
  const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(
      BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())), BIO_free_all);
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr), EVP_PKEY_free);
  if (!key) return failed;
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
      EVP_PKEY_CTX_new(key.get(), nullptr), EVP_PKEY_CTX_free);
  const std::string hidden = exclusive_or(clear_password(password), scramble);
  const auto* plain = reinterpret_cast<const unsigned char*>(hidden.data());
  std::size_t size = 0;
  if (!context || EVP_PKEY_encrypt_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) != 1 ||
      EVP_PKEY_encrypt(context.get(), nullptr, &size, plain, hidden.size()) != 1) {
    return failed;
  }
  std::string cipher(size, '\0');
  if (EVP_PKEY_encrypt(context.get(), reinterpret_cast<unsigned char*>(cipher.data()), &size, plain,
                       hidden.size()) != 1) {
    return failed;
  }
  cipher.resize(size);
  return cipher;
}

}  // namespace hyperdrive::proxy::wire::mysql
