// Words and Cloudflare's codes for what can go wrong on the way to an origin. Pure.
#pragma once

#include <string>

#include "proxy/session/postgres/dialogue.hpp"
#include "proxy/session/postgres/origin_login.hpp"

namespace hyperdrive::proxy::session::postgres {

LoginFailure connect_failure(const OriginTarget& target, const net::ConnectError& error);
/// The connection ended, or said nonsense, while `doing` ("answering the TLS request", "the
/// login").
LoginFailure broken_failure(const OriginTarget& target, const Dialogue& dialogue,
                            const std::string& doing);
LoginFailure no_tls_failure(const OriginTarget& target);
LoginFailure handshake_failure(const OriginTarget& target, const std::string& words);
LoginFailure plain_failure(core::Error error);

}  // namespace hyperdrive::proxy::session::postgres
