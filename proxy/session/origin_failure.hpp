// How far a login at an origin came and why it ended, with Cloudflare's codes: what both protocols
// say in the same words. Pure.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "proxy/net/loop.hpp"
#include "proxy/session/origin_dialogue.hpp"
#include "proxy/session/origin_target.hpp"

namespace hyperdrive::proxy::session {

/// What an attempt was at when it ended.
/// kGreeting: MySQL's origin speaks first, before there is any TLS.
enum class LoginStage { kConnect, kGreeting, kTls, kLogin };

/// How far an attempt came, and what each part took; for --verify.
struct LoginProgress {
  LoginStage stage = LoginStage::kConnect;
  std::chrono::microseconds connect{0};
  std::chrono::microseconds tls{0};
  std::chrono::microseconds login{0};
  bool connected = false;
  bool tls_started = false;  ///< a handshake was begun
  bool tls_refused = false;  ///< the origin does not speak TLS
  bool tls_done = false;
  int tls_round_trips = 0;  ///< for asking whether there is TLS; the handshake's own not counted
  int login_round_trips = 0;
  std::string method;     ///< "SCRAM-SHA-256-PLUS", "mysql_native_password" …
  net::TlsInfo tls_info;  ///< once tls_done
};

struct LoginFailure {
  core::Error error;         ///< codes 2008, 2010-2015
  std::string origin_error;  ///< the body of the origin's own error message; empty if it sent none
  std::string sqlstate;      ///< of that, or empty
  bool transient = false;    ///< starting, stopping or refusing connections: may be back soon
  LoginProgress progress;
};

LoginFailure login_failure(int code, std::string message, std::string hint, bool transient = false);
LoginFailure connect_failure(const BaseTarget& target, const net::ConnectError& error);
/// The connection ended, or said nonsense, while `doing` ("answering the TLS request", "the
/// login").
LoginFailure broken_failure(const BaseTarget& target, const OriginDialogue& dialogue,
                            const std::string& doing);
LoginFailure no_tls_failure(const BaseTarget& target);
LoginFailure handshake_failure(const BaseTarget& target, const std::string& words);
LoginFailure plain_failure(core::Error error);

/// What to do when no connection came free in time.
std::string_view pool_full_hint(core::SessionFeatures features);

}  // namespace hyperdrive::proxy::session
