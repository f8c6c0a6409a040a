// Verifying a Postgres origin: the login and the questions behind it; the steps around them are in
// origin_verifier.hpp.
#pragma once

#include <memory>

#include "proxy/session/origin_verifier.hpp"
#include "proxy/session/postgres/origin_login.hpp"

namespace hyperdrive::proxy::session::postgres {

std::unique_ptr<OriginVerifier> make_verifier(const core::Launch& launch,
                                              std::shared_ptr<const OriginTarget> target,
                                              net::Loop& loop, VerifyReport& report);

}  // namespace hyperdrive::proxy::session::postgres
