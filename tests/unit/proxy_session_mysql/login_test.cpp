// The pure parts of a login at a MySQL origin; the rest is tested against real servers and against
// MySQL 8's ways (tests/integration/test_verify_mysql.py).
#include <catch2/catch.hpp>

#include "proxy/session/mysql/origin_auth.hpp"
#include "proxy/session/mysql/origin_login.hpp"
#include "proxy/wire/mysql/auth.hpp"
#include "proxy/wire/mysql/response.hpp"

using namespace hyperdrive;
using namespace hyperdrive::proxy::session::mysql;
namespace my = hyperdrive::proxy::wire::mysql;
using namespace std::string_literals;

namespace {

const std::string kScramble = "abcdefghijklmnopqrst";

OriginTarget target_at(const std::string& host, const std::string& password = "secret") {
  OriginTarget target;
  target.scheme = core::Scheme::kMysql;
  target.host = host;
  target.user = "ada";
  target.password = core::Secret(password);
  return target;
}

std::string switch_to(my::Bytes plugin, my::Bytes scramble = kScramble) {
  return my::build_auth_switch_request(plugin, scramble);
}

}  // namespace

TEST_CASE("a login opens with the greeting's method, or with one that gives nothing away") {
  const OriginTarget target = target_at("db.example.com");
  const core::Secret password("secret");
  for (const char* asked : {"mysql_native_password", "sha256_password", "mysql_clear_password",
                            "client_ed25519", "", "mysql_old_password", "dialog"}) {
    const auto opening = OriginAuthentication(target, true).begin(asked, kScramble);
    CHECK(opening.plugin == "mysql_native_password");
    CHECK(opening.response == my::native_password(password, kScramble));
  }
  const auto opening =
      OriginAuthentication(target, false).begin(my::plugin::kCachingSha2, kScramble);
  CHECK(opening.plugin == my::plugin::kCachingSha2);
  CHECK(opening.response == my::caching_sha2_password(password, kScramble));
}

TEST_CASE("the whole password is sent inside TLS only") {
  const OriginTarget target = target_at("db.example.com");
  OriginAuthentication plain(target, false), tls(target, true);
  plain.begin(my::plugin::kCachingSha2, kScramble);
  tls.begin(my::plugin::kCachingSha2, kScramble);
  CHECK_FALSE(plain.answer("\x01\x04"));
  CHECK(tls.answer("\x01\x04") == "secret\0"s);
}

TEST_CASE("the clear password is sent inside TLS only, and to an origin that is known") {
  const std::string asked = switch_to(my::plugin::kClearPassword, "");
  const OriginTarget far = target_at("db.example.com"), here = target_at("localhost");
  OriginTarget verified = far;
  verified.verifies_certificate = true;
  for (const OriginTarget& target : {far, here, verified}) {
    CHECK_FALSE(OriginAuthentication(target, false).answer(asked));
  }
  CHECK_FALSE(OriginAuthentication(far, true).answer(asked));
  CHECK(OriginAuthentication(here, true).answer(asked) == "secret\0"s);
  CHECK(OriginAuthentication(verified, true).answer(asked) == "secret\0"s);
}

TEST_CASE("the origin's RSA key is asked for on loopback only") {
  for (const char* host : {"127.0.0.1", "localhost", "::1"}) {
    const OriginTarget target = target_at(host);
    OriginAuthentication login(target, false);
    login.begin(my::plugin::kCachingSha2, kScramble);
    CHECK(login.answer("\x01\x04") == "\x02"s);
    CHECK_FALSE(login.answer("\x01not a key"));
  }
  for (const char* host : {"10.0.0.1", "127.example.com", "db"}) {
    const OriginTarget target = target_at(host);
    OriginAuthentication login(target, false);
    login.begin(my::plugin::kCachingSha2, kScramble);
    CHECK_FALSE(login.answer("\x01\x04"));
  }
}

TEST_CASE("an origin may switch the method once, to one that is known") {
  const OriginTarget target = target_at("127.0.0.1");
  const auto fresh = [&] {
    OriginAuthentication login(target, false);
    login.begin(my::plugin::kNativePassword, "another scramble 20b");
    return login;
  };
  const core::Secret password("secret");
  CHECK(fresh().answer(switch_to(my::plugin::kNativePassword)) ==
        my::native_password(password, kScramble));
  const std::string nonce(32, 'n');
  CHECK(fresh().answer("\xfe"s + "client_ed25519\0"s + nonce) ==
        my::ed25519_password(password, nonce));
  CHECK_FALSE(fresh().answer("\xfe"));  // mysql_old_password
  CHECK_FALSE(fresh().answer(switch_to("mysql_old_password")));
  CHECK_FALSE(fresh().answer(switch_to("auth_gssapi_client")));
  CHECK_FALSE(fresh().answer(switch_to(my::plugin::kNativePassword, "short")));
  CHECK_FALSE(fresh().answer("\x01\x03"));  // caching_sha2's, and that is not the method
  CHECK_FALSE(fresh().answer(""));
  auto twice = fresh();
  REQUIRE(twice.answer(switch_to(my::plugin::kNativePassword)));
  CHECK_FALSE(twice.answer(switch_to(my::plugin::kCachingSha2)));
}

TEST_CASE("an empty password is answered by nothing") {
  const OriginTarget target = target_at("db.example.com", "");
  OriginAuthentication login(target, false);
  CHECK(login.begin(my::plugin::kCachingSha2, kScramble).response.empty());
  CHECK(login.answer(switch_to(my::plugin::kNativePassword)) == "");
}

TEST_CASE("a MySQL origin's refusals get Cloudflare's codes") {
  const OriginTarget target = target_at("db");
  const auto refusal = [&](std::uint16_t number) {
    return classify_origin_error(target, my::build_err({number, "HY000", "words"}));
  };
  CHECK(refusal(1045).error.code == 2013);
  CHECK(refusal(1698).error.code == 2013);
  CHECK(refusal(1044).error.code == 2014);
  CHECK(refusal(1049).error.code == 2014);
  CHECK(refusal(1040).error.code == 2015);
  CHECK(refusal(1040).transient);
  CHECK(refusal(1203).transient);
  CHECK(refusal(1053).transient);
  CHECK_FALSE(refusal(1045).transient);
  CHECK(refusal(4711).error.code == 2015);
  CHECK(refusal(1045).sqlstate == "HY000");
  CHECK(refusal(1045).origin_error == my::build_err({1045, "HY000", "words"}));
  // Before the login's capabilities are known an error has no SQLSTATE.
  CHECK(classify_origin_error(target, "\xff\x69\x04Host is blocked").sqlstate.empty());
  CHECK(classify_origin_error(target, "garbage").error.code == 2015);
}
