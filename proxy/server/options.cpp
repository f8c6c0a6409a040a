#include "proxy/server/options.hpp"

#include <algorithm>
#include <thread>

#include "core/config/settings.hpp"
#include "core/config/text.hpp"

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

namespace {

bool same_setting(const core::Setting& setting, const core::LocalSettings& a,
                  const core::LocalSettings& b) {
  const bool password =
      setting.kind != core::SettingKind::kSecretUrl || a.cache_password == b.cache_password;
  return setting.same(a, b) && password;
}

void keep_protocol(const core::Launch& before, core::Launch& after,
                   std::vector<std::string>& kept) {
  const core::Config& running = before.config;
  if (core::is_mysql(running.origin.scheme) == core::is_mysql(after.config.origin.scheme)) return;
  kept.emplace_back("origin");
  after.config.origin = running.origin;
  after.config.tls = running.tls;
  after.certificates = before.certificates;
}

}  // namespace

std::vector<std::string> keep_until_restart(const core::Launch& before, core::Launch& after) {
  std::vector<std::string> kept;
  keep_protocol(before, after, kept);
  const core::LocalSettings& running = before.config.local;
  core::LocalSettings& wanted = after.config.local;
  core::LocalSettings mixed = running;
  mixed.local_user = wanted.local_user;
  mixed.local_password = wanted.local_password;
  const bool needs_certificate =
      !running.listen.empty() && !core::is_loopback(running.listen) && wanted.tls_cert_file.empty();
  for (const core::Setting& setting : core::settings()) {
    const bool keeps = !setting.live || (needs_certificate && setting.key.starts_with("tls_"));
    if (!keeps) {
      // It has been read by the same rules just now.
      [[maybe_unused]] const auto set = setting.set(mixed, setting.get(wanted));
    } else if (!same_setting(setting, running, wanted)) {
      kept.emplace_back(setting.key);
    }
  }
  wanted = std::move(mixed);
  return kept;
}

std::size_t worker_count(const core::LocalSettings& settings) {
  if (settings.workers > 0) return static_cast<std::size_t>(settings.workers);
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  return cores <= 2 ? 1 : std::min(cores, 4u);
}

}  // namespace hyperdrive::proxy::server
