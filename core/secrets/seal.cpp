#include "core/secrets/seal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>

#include "core/base/file.hpp"
#include "core/config/text.hpp"
#include "core/secrets/random.hpp"

namespace hyperdrive::core {
namespace {

constexpr char kVersion = 1;
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kMinPassphrase = 16;

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

std::optional<Secret> from_hexadecimal(std::string_view text) {
  if (text.size() != kKeyBytes * 2) return std::nullopt;
  std::string key;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    int value = 0;
    for (const char digit : text.substr(i, 2)) {
      value <<= 4;
      if (digit >= '0' && digit <= '9')
        value += digit - '0';
      else if (digit >= 'a' && digit <= 'f')
        value += digit - 'a' + 10;
      else if (digit >= 'A' && digit <= 'F')
        value += digit - 'A' + 10;
      else
        return std::nullopt;
    }
    key.push_back(static_cast<char>(value));
  }
  return Secret(std::move(key));
}

std::string to_hexadecimal(std::string_view bytes) {
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

Result<Secret> key_from_environment(std::string_view text) {
  if (auto key = from_hexadecimal(text)) return std::move(*key);
  if (text.size() < kMinPassphrase)
    return fail("HYPERDRIVE_KEY is too short to be a sealing key.",
                "Use 64 hexadecimal digits (openssl rand -hex 32), or at least 16 characters.");
  std::string digest(kKeyBytes, '\0');
  unsigned int length = 0;
  if (EVP_Digest(text.data(), text.size(), bytes_of(digest), &length, EVP_sha256(), nullptr) != 1)
    return fail("HYPERDRIVE_KEY could not be hashed.");
  return Secret(std::move(digest));
}

Result<Secret> read_key(const std::filesystem::path& path) {
  auto text = read_file(path, 4096);
  if (!text) return tl::unexpected(text.error());
  while (!text->empty() && (text->back() == '\n' || text->back() == '\r')) text->pop_back();
  if (auto key = from_hexadecimal(*text)) return std::move(*key);
  return fail(
      fmt::format("The sealing key {} is damaged: it is not 64 hexadecimal digits.", path.string()),
      "Restore it from a backup, or set the key in HYPERDRIVE_KEY.");
}

bool present(const std::filesystem::path& path) { return ::access(path.c_str(), F_OK) == 0; }

/// The key is written under a name of its own and linked into place: link(2) fails when another
/// process was first, and nobody ever sees half a key.
Result<void> make_key(const Home& home) {
  if (auto made = ensure_folder(home.folder); !made) return made;
  const std::string temporary = home.key().string() + "." + random_id() + ".tmp";
  const Secret text(to_hexadecimal(random_bytes(kKeyBytes)) + "\n");
  Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  int error = file ? write_all(file.get(), text.reveal()) : errno;
  if (error == 0 && ::fsync(file.get()) != 0) error = errno;
  if (error == 0 && ::link(temporary.c_str(), home.key().c_str()) != 0 && errno != EEXIST)
    error = errno;
  ::unlink(temporary.c_str());
  if (error != 0)
    return fail(fmt::format("The sealing key {} cannot be written: {}.", home.key().string(),
                            errno_text(error)),
                "Nothing was stored.");
  Descriptor folder(::open(home.folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder) ::fsync(folder.get());
  return {};
}

}  // namespace

Result<Sealer> Sealer::open(const Home& home) {
  const char* text = std::getenv("HYPERDRIVE_KEY");
  if (text && *text) {
    auto key = key_from_environment(text);
    if (!key) return tl::unexpected(key.error());
    return Sealer(std::move(*key));
  }
  if (!present(home.key()))
    return fail(fmt::format("The sealing key {} is missing: stored passwords cannot be opened.",
                            home.key().string()),
                "Restore it from a backup, set HYPERDRIVE_KEY, or give the password anew: "
                "hyperdrive update NAME --origin-password-file FILE.");
  auto key = read_key(home.key());
  if (!key) return tl::unexpected(key.error());
  return Sealer(std::move(*key));
}

Result<Sealer> Sealer::open_or_create(const Home& home) {
  const char* text = std::getenv("HYPERDRIVE_KEY");
  if (!(text && *text) && !present(home.key()))
    if (auto made = make_key(home); !made) return tl::unexpected(made.error());
  return open(home);
}

Result<std::string> Sealer::seal(const Secret& secret, std::string_view associated) const {
  const std::string_view plain = secret.reveal();
  const std::string nonce = random_bytes(kNonceBytes);
  std::string cipher(plain.size(), '\0');
  std::string tag(kTagBytes, '\0');
  Context context(EVP_CIPHER_CTX_new());
  int length = 0;
  const bool sealed =
      context &&
      EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key_.reveal()),
                         bytes_of(nonce)) == 1 &&
      EVP_EncryptUpdate(context.get(), nullptr, &length, bytes_of(associated),
                        static_cast<int>(associated.size())) == 1 &&
      EVP_EncryptUpdate(context.get(), bytes_of(cipher), &length, bytes_of(plain),
                        static_cast<int>(plain.size())) == 1 &&
      EVP_EncryptFinal_ex(context.get(), bytes_of(cipher) + length, &length) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, tag.data()) == 1;
  if (!sealed) return fail("The password could not be sealed.", "Nothing was stored.");
  return std::string(1, kVersion) + nonce + cipher + tag;
}

Result<Secret> Sealer::unseal(std::string_view blob, std::string_view associated) const {
  if (blob.size() < 1 + kNonceBytes + kTagBytes || blob[0] != kVersion)
    return fail("A sealed password is damaged or from a newer version.");
  const std::string_view nonce = blob.substr(1, kNonceBytes);
  const std::string_view cipher =
      blob.substr(1 + kNonceBytes, blob.size() - 1 - kNonceBytes - kTagBytes);
  std::string tag(blob.substr(blob.size() - kTagBytes));
  std::string plain(cipher.size(), '\0');
  Context context(EVP_CIPHER_CTX_new());
  int length = 0;
  const bool opened =
      context &&
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key_.reveal()),
                         bytes_of(nonce)) == 1 &&
      EVP_DecryptUpdate(context.get(), nullptr, &length, bytes_of(associated),
                        static_cast<int>(associated.size())) == 1 &&
      EVP_DecryptUpdate(context.get(), bytes_of(plain), &length, bytes_of(cipher),
                        static_cast<int>(cipher.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(context.get(), bytes_of(plain) + length, &length) == 1;
  Secret secret(std::move(plain));
  if (!opened) return fail("The seal does not open: another key, or something was altered.");
  return secret;
}

std::string associated_data(const Config& config, std::string_view purpose) {
  // Lengths before values: no two different configs give the same bytes.
  std::string data = "hyperdrive-1";
  const std::string port = std::to_string(config.origin.port);
  for (const std::string_view part :
       {purpose, std::string_view(config.id), scheme_name(config.origin.scheme),
        std::string_view(config.origin.scheme_text), std::string_view(config.origin.host),
        std::string_view(port), std::string_view(config.origin.user),
        std::string_view(config.origin.database),
        ssl_mode_name(config.tls.mode, Scheme::kPostgresql),
        std::string_view(config.tls.ca_certificate_id),
        std::string_view(config.tls.mtls_certificate_id),
        std::string_view(config.origin.service_id),
        std::string_view(config.origin.access_client_id)})
    data += fmt::format("\n{}:", part.size()).append(part);
  return data;
}

}  // namespace hyperdrive::core
