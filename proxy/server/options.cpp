#include "proxy/server/options.hpp"

#include <algorithm>
#include <thread>

#include "core/config/settings.hpp"

namespace hyperdrive::proxy::server {

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
