#include "proxy/session/mysql/origin_auth.hpp"

#include <fmt/format.h>

#include "core/config/text.hpp"
#include "proxy/wire/mysql/auth.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;
namespace plugin = wire::mysql::plugin;
using core::code::kOriginOther;

namespace {

// The state bytes and key requests of the two SHA-256 plugins.
constexpr my::Bytes kFastAuthOk = "\x03";
constexpr my::Bytes kFullAuth = "\x04";
constexpr char kCachingSha2KeyRequest = 0x02;
constexpr char kSha256KeyRequest = 0x01;
constexpr std::size_t kEd25519Nonce = 32;
constexpr my::Bytes kSha256 = "sha256_password";

tl::unexpected<core::Error> refuse(std::string message, std::string hint = {}) {
  return core::fail(std::move(message), std::move(hint), kOriginOther);
}

}  // namespace

OriginAuthentication::OriginAuthentication(const OriginTarget& target, bool tls)
    : target_(target), tls_(tls) {}

OriginAuthentication::Opening OriginAuthentication::begin(my::Bytes asked, my::Bytes scramble) {
  scramble_ = scramble;
  if (asked == plugin::kCachingSha2) {
    plugin_ = asked;
    return {plugin_, my::caching_sha2_password(target_.password, scramble)};
  }
  plugin_ = plugin::kNativePassword;
  return {plugin_, my::native_password(target_.password, scramble)};
}

OriginAuthentication::Answer OriginAuthentication::answer(my::Bytes payload) {
  if (payload.size() == 1 && static_cast<std::uint8_t>(payload[0]) == my::reply::kEof) {
    return refuse(
        "The origin asks for the password in the form of MySQL before 4.1, which anybody could "
        "break: it was not sent.",
        "Set the user's password anew, with mysql_native_password or better.");
  }
  if (const auto request = my::parse_auth_switch_request(payload)) return switch_to(*request);
  if (const auto data = my::parse_auth_more_data(payload)) return more(*data);
  return refuse("The origin sent a packet that does not belong into a login.",
                "Check that a MySQL server answers on that port.");
}

OriginAuthentication::Answer OriginAuthentication::switch_to(const my::AuthSwitchRequest& request) {
  if (switched_) return refuse("The origin asked for one login method after the other.");
  switched_ = true;
  plugin_ = request.plugin;
  scramble_ = request.data;
  const core::Secret& password = target_.password;
  const bool scrambled = request.data.size() == my::kScrambleSize;
  if (plugin_ == plugin::kNativePassword && scrambled) {
    return my::native_password(password, request.data);
  }
  if (plugin_ == plugin::kCachingSha2 && scrambled) {
    return my::caching_sha2_password(password, request.data);
  }
  if (plugin_ == plugin::kEd25519 && request.data.size() == kEd25519Nonce) {
    return my::ed25519_password(password, request.data);
  }
  if (plugin_ == plugin::kClearPassword) return in_the_clear();
  if (plugin_ == kSha256) return whole_password(kSha256KeyRequest);
  if (plugin_ == plugin::kNativePassword || plugin_ == plugin::kCachingSha2 ||
      plugin_ == plugin::kEd25519) {
    return refuse("The origin asked for a login method without a proper scramble.");
  }
  return refuse(
      fmt::format("The origin asks for the login method \"{}\", which is not supported.", plugin_),
      "Let the user log in by caching_sha2_password, mysql_native_password or ed25519.");
}

/// No account needs this unless somebody has set it up so: only to who has proven to be the origin.
OriginAuthentication::Answer OriginAuthentication::in_the_clear() {
  const bool known = target_.verifies_certificate || core::is_loopback(target_.host);
  if (tls_ && known) return my::clear_password(target_.password);
  return refuse(
      fmt::format("The origin asks for the password in the clear, and {}: it was not sent.",
                  tls_ ? "its certificate is not verified" : "the connection is not encrypted"),
      fmt::format("Use --sslmode {}.", target_.word(core::SslMode::kVerifyFull)));
}

OriginAuthentication::Answer OriginAuthentication::more(my::Bytes data) {
  if (key_asked_) {
    key_asked_ = false;
    auto encrypted = my::rsa_password(target_.password, scramble_, data);
    if (encrypted) return std::move(*encrypted);
    core::Error error = encrypted.error();
    error.code = kOriginOther;
    return tl::unexpected(std::move(error));
  }
  if (plugin_ == plugin::kCachingSha2) {
    if (data == kFastAuthOk) return std::nullopt;
    if (data == kFullAuth) return whole_password(kCachingSha2KeyRequest);
  }
  return refuse("The origin sent a login packet out of turn.");
}

OriginAuthentication::Answer OriginAuthentication::whole_password(char key_request) {
  if (tls_ || target_.password.empty()) return my::clear_password(target_.password);
  // Whoever sits in between could send a key of his own and read the password.
  if (!core::is_loopback(target_.host)) {
    return refuse(fmt::format("The origin wants the whole password ({}), and the connection is not "
                              "encrypted: it was not sent.",
                              plugin_),
                  fmt::format("Use --sslmode {}.", target_.word(core::SslMode::kRequire)));
  }
  key_asked_ = true;
  return std::string(1, key_request);
}

}  // namespace hyperdrive::proxy::session::mysql
