#include "proxy/server/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "core/config/settings.hpp"
#include "core/config/text.hpp"
#include "proxy/session/postgres/cache_service.hpp"
#include "proxy/session/postgres/origin_login.hpp"

namespace hyperdrive::proxy::server {

using session::postgres::Options;
using session::postgres::OptionsRef;

core::Result<OptionsRef> make_options(const core::Launch& launch) {
  auto options = std::make_shared<Options>();
  options->config = launch.config;
  const core::LocalSettings& local = launch.config.local;
  if (local.local_password.empty()) {
    return core::fail("The config has no local password.", "Create it again.");
  }
  auto target = session::postgres::make_origin_target(launch.config, launch.certificates);
  if (!target) return tl::unexpected(target.error());
  options->target = std::move(*target);
  if (!local.tls_cert_file.empty()) {
    auto tls = net::TlsContext::server({local.tls_cert_file, local.tls_key_file});
    if (!tls) return tl::unexpected(tls.error());
    options->client_tls = std::move(*tls);
  } else if (!local.listen.empty() && !core::is_loopback(local.listen)) {
    return core::fail(
        fmt::format("Listening on {} needs TLS, and there is no certificate.", local.listen),
        "Give --tls-cert-file and --tls-key-file, or leave out --listen.");
  }
  options->verifier =
      wire::postgres::ScramVerifier::derive(local.local_password, std::max(local.scram_rounds, 1));
  return OptionsRef(std::move(options));
}

pool::PoolOptions pool_options(const core::Config& config) {
  const int own = session::postgres::CacheService::own_connections(config);
  return {std::max(config.origin_connection_limit - own, 1), config.local.idle_timeout,
          config.local.max_lifetime, config.local.wait_timeout};
}

bool origin_differs(const core::Launch& before, const core::Launch& after) {
  const core::Origin& a = before.config.origin;
  const core::Origin& b = after.config.origin;
  return a.host != b.host || a.port != b.port || a.database != b.database || a.user != b.user ||
         !(a.password == b.password) || a.application_name != b.application_name ||
         before.config.tls.mode != after.config.tls.mode ||
         before.certificates.ca_pem != after.certificates.ca_pem ||
         before.certificates.client_pem != after.certificates.client_pem ||
         !(before.certificates.client_key_pem == after.certificates.client_key_pem);
}

std::vector<std::string> live_changes(const core::Config& before, const core::Config& after) {
  std::vector<std::string> changed;
  for (const core::Setting& setting : core::settings()) {
    if (setting.live && setting.get(before.local) != setting.get(after.local)) {
      changed.emplace_back(setting.key);
    }
  }
  if (before.origin_connection_limit != after.origin_connection_limit) {
    changed.emplace_back("origin_connection_limit");
  }
  const core::Caching& a = before.caching;
  const core::Caching& b = after.caching;
  if (a.disabled != b.disabled || a.max_age != b.max_age ||
      a.stale_while_revalidate != b.stale_while_revalidate) {
    changed.emplace_back("caching");
  }
  return changed;
}

std::size_t worker_count(const core::LocalSettings& settings) {
  if (settings.workers > 0) return static_cast<std::size_t>(settings.workers);
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  return cores <= 2 ? 1 : std::min(cores, 4u);
}

}  // namespace hyperdrive::proxy::server
