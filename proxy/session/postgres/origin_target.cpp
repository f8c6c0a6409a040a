#include "proxy/session/postgres/origin_login.hpp"

namespace hyperdrive::proxy::session::postgres {

core::Result<std::shared_ptr<const OriginTarget>> make_origin_target(
    const core::Config& config, const core::Certificates& certificates) {
  auto base = make_base_target(config, certificates);
  if (!base) return tl::unexpected(base.error());
  auto target = std::make_shared<OriginTarget>();
  static_cast<BaseTarget&>(*target) = std::move(*base);
  const std::string& name = config.origin.application_name;
  target->application_name = name.empty() ? "Hyperdrive" : name;
  target->scram_keys = std::make_shared<wire::postgres::ScramKeyCache>();
  return target;
}

}  // namespace hyperdrive::proxy::session::postgres
