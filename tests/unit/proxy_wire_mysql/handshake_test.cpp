#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <catch2/catch.hpp>

#include "hex.hpp"
#include "proxy/wire/mysql/auth.hpp"
#include "proxy/wire/mysql/handshake.hpp"

using namespace hyperdrive::proxy::wire::mysql;
using hyperdrive::core::Secret;
using hyperdrive::tests::from_hex;
using hyperdrive::tests::to_hex;
using namespace std::string_literals;

namespace {

// What MariaDB 10.11 sent.
const std::string kGreeting = from_hex(
    "0a352e352e352d31302e31312e31392d4d6172696144422d302b6465623132753100050000002e6948695a646a6800"
    "fef7080200ff81150000000000001d0000004b7d556f4f7a3d5e416b7633006d7973716c5f6e61746976655f706173"
    "73776f726400");
const std::string kScramble = from_hex("2e6948695a646a684b7d556f4f7a3d5e416b7633");
const std::string kEd25519Switch = from_hex(
    "fe636c69656e745f6564323535313900142a8d3eb833033aded8cb2bdc8e5b205f05a38a7ed06df005fe67597034da"
    "34");

}  // namespace

TEST_CASE("MariaDB's greeting is read and built again") {
  const auto greeting = parse_greeting(kGreeting);
  REQUIRE(greeting);
  CHECK(greeting->server_version == "5.5.5-10.11.19-MariaDB-0+deb12u1");
  CHECK(greeting->connection_id == 5);
  CHECK(greeting->scramble == kScramble);
  CHECK(greeting->plugin == plugin::kNativePassword);
  CHECK(greeting->charset == 8);
  CHECK(greeting->status == status::kAutocommit);
  CHECK((greeting->capabilities & capability::kLongPassword) == 0);
  CHECK((greeting->capabilities & capability::kDeprecateEof) != 0);
  CHECK((greeting->capabilities & capability::kMariadbCacheMetadata) != 0);
  CHECK(build_greeting(*greeting) == kGreeting);
}

TEST_CASE("a greeting cut anywhere is refused") {
  for (std::size_t size = 0; size + 1 < kGreeting.size() - plugin::kNativePassword.size(); ++size) {
    CHECK_FALSE(parse_greeting(Bytes(kGreeting).substr(0, size)));
  }
  // Without the zero behind the plugin, as some servers have it.
  CHECK(parse_greeting(Bytes(kGreeting).substr(0, kGreeting.size() - 1))->plugin ==
        plugin::kNativePassword);
  CHECK_FALSE(parse_greeting(from_hex("ff1004546f6f206d616e7920636f6e6e656374696f6e73")));
}

TEST_CASE("handshake responses are built and read by their capabilities") {
  using namespace capability;
  const std::uint64_t base = kProtocol41 | kPluginAuth | kConnectWithDb | kConnectAttrs;
  for (const std::uint64_t how : {kSecureConnection, kPluginAuthLenencClientData, 0ul}) {
    HandshakeResponse sent;
    sent.capabilities = base | how | kMariadbExtendedMetadata;
    sent.max_packet = 1 << 24;
    sent.charset = 45;
    sent.user = "ada";
    sent.auth_response = "12345678901234567890";
    sent.database = "shop";
    sent.plugin = plugin::kCachingSha2;
    sent.attributes = {{"_client_name", "test"}, {"empty", ""}};
    const std::string payload = build_handshake_response(sent);
    const auto read = parse_handshake_response(payload);
    REQUIRE(read);
    CHECK(read->capabilities == sent.capabilities);
    CHECK(read->user == "ada");
    CHECK(read->auth_response == sent.auth_response);
    CHECK(read->database == "shop");
    CHECK(read->plugin == plugin::kCachingSha2);
    CHECK(read->attributes == sent.attributes);
    for (std::size_t size = 0; size < 40; ++size) {
      CHECK_FALSE(parse_handshake_response(Bytes(payload).substr(0, size)));
    }
  }
}

TEST_CASE("MySQL's clients have no MariaDB capabilities") {
  HandshakeResponse sent;
  sent.capabilities = capability::kProtocol41 | capability::kLongPassword;
  std::string payload = build_handshake_response(sent);
  payload[31] = '\x7f';  // in the reserved bytes
  CHECK(parse_handshake_response(payload)->capabilities == sent.capabilities);
}

TEST_CASE("clients older than 4.1 are refused") {
  HandshakeResponse sent;
  sent.capabilities = capability::kLongPassword;
  CHECK_FALSE(parse_handshake_response(build_handshake_response(sent)));
}

TEST_CASE("a TLS request is a response without its user") {
  const std::string request =
      build_ssl_request({capability::kProtocol41 | capability::kLongPassword, 1 << 24, 45});
  CHECK(request.size() == 32);
  CHECK((parse_ssl_request(request)->capabilities & capability::kSsl) != 0);
  CHECK_FALSE(parse_handshake_response(request));
  CHECK_FALSE(parse_ssl_request(request + "x"));
}

TEST_CASE("a switch of the method gives plugin and scramble") {
  const auto ed25519 = parse_auth_switch_request(kEd25519Switch);
  REQUIRE(ed25519);
  CHECK(ed25519->plugin == plugin::kEd25519);
  CHECK(ed25519->data.size() == 32);
  const std::string asked = build_auth_switch_request(plugin::kNativePassword, kScramble);
  const auto native = parse_auth_switch_request(asked);
  CHECK(native->data == kScramble);
  // Random bytes of another size keep their last zero.
  CHECK(parse_auth_switch_request("\xfe"
                                  "client_ed25519\0"s +
                                  std::string(32, '\0'))
            ->data.size() == 32);
  CHECK_FALSE(parse_auth_switch_request("\xfe"));
  CHECK(parse_auth_more_data("\x01\x04") == Bytes("\x04"));
  CHECK_FALSE(parse_auth_more_data("\x04"));
}

TEST_CASE("COM_CHANGE_USER is read") {
  const std::string payload =
      "\x11"
      "ada\0\x03"
      "abcshop\0\x2d\0mysql_native_password\0"s;
  const auto change =
      parse_change_user(payload, capability::kSecureConnection | capability::kPluginAuth);
  REQUIRE(change);
  CHECK(change->user == "ada");
  CHECK(change->auth_response == "abc");
  CHECK(change->database == "shop");
  CHECK(change->charset == 45);
  CHECK(change->plugin == plugin::kNativePassword);
  CHECK_FALSE(
      parse_change_user("\x11"
                        "ada\0\xff"
                        "abc"s,
                        capability::kSecureConnection));
}

TEST_CASE("mysql_native_password, as MariaDB accepted it") {
  const std::string answer = native_password(Secret("secret"), kScramble);
  CHECK(to_hex(answer) == "e294db798a745882feca215165b3e44bf8523676");
  const auto verifier = PasswordVerifier::of(Secret("secret"));
  CHECK(check_native_password(verifier, kScramble, answer));
  CHECK_FALSE(check_native_password(verifier, make_scramble(), answer));
  CHECK_FALSE(check_native_password(verifier, kScramble, answer.substr(1)));
  CHECK_FALSE(check_native_password(verifier, kScramble, ""));
  CHECK(native_password(Secret(), kScramble).empty());
  CHECK(check_native_password(PasswordVerifier::of(Secret()), kScramble, ""));
  CHECK_FALSE(check_native_password(PasswordVerifier::of(Secret()), kScramble, answer));
}

TEST_CASE("caching_sha2_password's fast answer is checked from the doubled hash") {
  const auto verifier = PasswordVerifier::of(Secret("secret"));
  const std::string answer = caching_sha2_password(Secret("secret"), kScramble);
  CHECK(answer.size() == 32);
  CHECK(check_caching_sha2_password(verifier, kScramble, answer));
  CHECK_FALSE(check_caching_sha2_password(verifier, kScramble,
                                          caching_sha2_password(Secret("Secret"), kScramble)));
  CHECK_FALSE(check_caching_sha2_password(verifier, kScramble, ""));
  // Computed apart: XOR(SHA256(pw), SHA256(SHA256(SHA256(pw)) + scramble)).
  CHECK(to_hex(answer) == "f6cd66e7c35338519b278d17044e09a2d0f0aa5a5ae083ab22ffc9b718c47127");
}

TEST_CASE("scrambles hold no byte that MySQL's clients cannot take") {
  for (int i = 0; i < 200; ++i) {
    const std::string scramble = make_scramble();
    CHECK(scramble.size() == kScrambleSize);
    for (const char byte : scramble) CHECK((byte > 0 && byte != '$'));
  }
}

TEST_CASE("the full path hides the password under the server's key") {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_RSA_gen(2048), EVP_PKEY_free);
  const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(BIO_new(BIO_s_mem()), BIO_free_all);
  PEM_write_bio_PUBKEY(bio.get(), key.get());
  char* text = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &text);
  const std::string pem(text, static_cast<std::size_t>(length));
  const auto cipher = rsa_password(Secret("secret"), kScramble, pem);
  REQUIRE(cipher);

  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
      EVP_PKEY_CTX_new(key.get(), nullptr), EVP_PKEY_CTX_free);
  REQUIRE(EVP_PKEY_decrypt_init(context.get()) == 1);
  REQUIRE(EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) == 1);
  std::string plain(256, '\0');
  std::size_t size = plain.size();
  REQUIRE(EVP_PKEY_decrypt(context.get(), reinterpret_cast<unsigned char*>(plain.data()), &size,
                           reinterpret_cast<const unsigned char*>(cipher->data()),
                           cipher->size()) == 1);
  plain.resize(size);
  for (std::size_t i = 0; i < size; ++i) plain[i] = static_cast<char>(plain[i] ^ kScramble[i % 20]);
  CHECK(plain == "secret\0"s);
  CHECK_FALSE(rsa_password(Secret("secret"), kScramble, "no key"));
  CHECK_FALSE(rsa_password(Secret(std::string(300, 'x')), kScramble, pem));
}

TEST_CASE(
    "client_ed25519 signs as RFC 8032 where the password is a seed, and as MariaDB accepted") {
  CHECK(to_hex(ed25519_password(
            Secret(from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")),
            "\x72")) ==
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
  const auto asked = parse_auth_switch_request(kEd25519Switch);
  CHECK(to_hex(ed25519_password(Secret("a long password of more than thirty-two bytes"),
                                asked->data)) ==
        "3872f718ac4f6d9b9750927b1305f23dbcce6f96c18d34d415048ccb404859d5"
        "fe6e06461a0c270b93f619c13e047e876058a673f439ff0be876aa0129a5790e");
}
