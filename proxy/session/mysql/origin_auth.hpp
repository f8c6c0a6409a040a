// The password part of a login, as pure steps: what the origin asks in, the answer out.
//
// mysql_native_password and caching_sha2_password by their scrambles; client_ed25519; the password
// itself (the full path of caching_sha2_password, sha256_password) only inside TLS, or under the
// origin's RSA key where nobody can sit in between: on loopback. mysql_clear_password only inside
// TLS with a verified certificate, or on loopback (docs/decisions/067).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proxy/session/mysql/origin_login.hpp"
#include "proxy/wire/mysql/handshake.hpp"

namespace hyperdrive::proxy::session::mysql {

class OriginAuthentication {
 public:
  /// `tls`: the password itself may be sent.
  OriginAuthentication(const OriginTarget& target, bool tls);

  struct Opening {
    std::string plugin;
    std::string response;
  };
  /// For the handshake response: by the greeting's method, or by mysql_native_password where that
  /// one is not known or not allowed here: an origin then asks for what the user really has.
  Opening begin(wire::mysql::Bytes plugin, wire::mysql::Bytes scramble);

  /// The payload to send for a packet that is neither OK nor ERR; nothing: the origin goes on
  /// speaking; or why this must go no further.
  core::Result<std::optional<std::string>> answer(wire::mysql::Bytes payload);

  /// The method in use, for people.
  std::string_view method() const { return plugin_; }

 private:
  using Answer = core::Result<std::optional<std::string>>;
  Answer switch_to(const wire::mysql::AuthSwitchRequest& request);
  Answer more(wire::mysql::Bytes data);
  Answer in_the_clear();
  /// The password itself, or a request for the origin's key.
  Answer whole_password(char key_request);

  const OriginTarget& target_;
  const bool tls_;
  std::string plugin_;
  std::string scramble_;
  bool key_asked_ = false;
  bool switched_ = false;
};

}  // namespace hyperdrive::proxy::session::mysql
