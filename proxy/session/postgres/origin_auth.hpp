// The password part of a login, as pure steps: an Authentication message in, the answer out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "proxy/session/postgres/origin_login.hpp"
#include "proxy/wire/postgres/backend.hpp"

namespace hyperdrive::proxy::session::postgres {

class OriginAuthentication {
 public:
  /// `channel_binding`: the server certificate's binding; `tls`: cleartext passwords may be sent.
  OriginAuthentication(const OriginTarget& target, std::string channel_binding, bool tls);

  /// The bytes to send (none after some steps), or why this must go no further.
  tl::expected<std::string, core::Error> answer(
      const wire::postgres::AuthenticationRequest& request);

  bool done() const { return done_; }
  /// "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "md5", "password", "trust".
  std::string_view method() const { return method_; }

 private:
  tl::expected<std::string, core::Error> start_sasl(std::string_view mechanisms);
  tl::expected<std::string, core::Error> scram_failed(const wire::postgres::ScramFailure& failure);

  const OriginTarget& target_;
  const std::string channel_binding_;
  const bool tls_;
  std::optional<wire::postgres::ScramClient> scram_;
  bool scram_verified_ = false;
  bool done_ = false;
  std::string_view method_ = "trust";
};

}  // namespace hyperdrive::proxy::session::postgres
