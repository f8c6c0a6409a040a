#include "proxy/server/origin_verification.hpp"

#include "proxy/session/mysql/verify.hpp"
#include "proxy/session/postgres/verify.hpp"

namespace hyperdrive::proxy::server {

namespace {

/// With the functions of the protocol: its target, its verifier.
template <class MakeTarget, class MakeVerifier>
void verify(const core::Launch& launch, session::VerifyReport& report, MakeTarget make_target,
            MakeVerifier make_verifier) {
  auto target = make_target(launch.config, launch.certificates);
  if (!target) {
    core::Error error = target.error();
    error.code = core::code::kOriginOther;
    return report.fail("tls", std::chrono::microseconds{0}, error);
  }
  auto loop = net::Loop::create();
  if (!loop) return report.fail("tcp", std::chrono::microseconds{0}, loop.error());
  make_verifier(launch, std::move(*target), **loop, report)->run();
}

}  // namespace

Verification verify_origin(const core::Launch& launch) {
  session::VerifyReport report(launch.config.origin.scheme);
  if (core::is_mysql(launch.config.origin.scheme)) {
    verify(launch, report, session::mysql::make_origin_target, session::mysql::make_verifier);
  } else {
    verify(launch, report, session::postgres::make_origin_target, session::postgres::make_verifier);
  }
  return {report.ok(), report.json()};
}

}  // namespace hyperdrive::proxy::server
