#include "cli/config_edit.hpp"

#include "core/config/text.hpp"

namespace hyperdrive::cli {
namespace {

void apply_connection(const core::ConnectionString& connection, core::Config& config) {
  config.origin = connection.origin;
  if (connection.ssl_mode != core::SslMode::kDefault) config.tls.mode = connection.ssl_mode;
  // As in libpq: the system's authorities are worth something only with the name checked.
  if (connection.ssl_root_certificate == "system") config.tls.mode = core::SslMode::kVerifyFull;
  if (connection.connect_timeout) config.local.connect_timeout = *connection.connect_timeout;
}

/// Host and port, service id, Access: one of the three is where the origin is.
void apply_network(const ConfigEdit& edit, core::Origin& origin) {
  if (edit.service_id) {
    origin.service_id = *edit.service_id;
    origin.host.clear();
    origin.port = 0;
    origin.access_client_id.clear();
    origin.access_client_secret = {};
  } else if (edit.access_client_id) {
    origin.access_client_id = *edit.access_client_id;
    origin.access_client_secret = *edit.access_client_secret;
    origin.host = *edit.host;
    origin.port = 0;
    origin.service_id.clear();
  } else if (edit.host) {
    origin.host = *edit.host;
    // An update of the host alone keeps the port.
    const auto present = origin.port != 0 ? origin.port : core::default_port(origin.scheme);
    origin.port = edit.port.value_or(present);
    origin.service_id.clear();
    origin.access_client_id.clear();
    origin.access_client_secret = {};
  }
  // Brackets are how an IPv6 address is written in URLs; it is stored without.
  if (origin.host.starts_with('[') && origin.host.ends_with(']')) {
    origin.host = origin.host.substr(1, origin.host.size() - 2);
  }
}

void apply_caching(const ConfigEdit& edit, core::Caching& caching) {
  if (edit.caching_disabled) {
    caching.disabled = *edit.caching_disabled;
    if (caching.disabled && !edit.max_age) caching.max_age.reset();
    if (caching.disabled && !edit.stale_while_revalidate) caching.stale_while_revalidate.reset();
  } else if (edit.max_age || edit.stale_while_revalidate) {
    caching.disabled = false;
  }
  if (edit.max_age) caching.max_age = edit.max_age;
  if (edit.stale_while_revalidate) caching.stale_while_revalidate = edit.stale_while_revalidate;
}

}  // namespace

bool ConfigEdit::touches_origin() const {
  return connection || scheme || host || port || database || user || password || service_id ||
         access_client_id || ca_certificate_id || mtls_certificate_id || ssl_mode;
}

bool ConfigEdit::empty() const {
  return !touches_origin() && !caching_disabled && !max_age && !stale_while_revalidate &&
         !origin_connection_limit && settings.empty();
}

core::Result<void> ConfigEdit::apply(core::Config& config) const {
  if (connection) apply_connection(*connection, config);
  core::Origin& origin = config.origin;
  if (scheme) {
    origin.scheme = *scheme;
    origin.scheme_text.clear();
  }
  if (database) origin.database = *database;
  if (user) origin.user = *user;
  if (password) origin.password = *password;
  apply_network(*this, origin);
  if (ca_certificate_id) config.tls.ca_certificate_id = *ca_certificate_id;
  if (mtls_certificate_id) config.tls.mtls_certificate_id = *mtls_certificate_id;
  if (ssl_mode) {
    auto mode = core::parse_ssl_mode(*ssl_mode, origin.scheme);
    if (!mode) return tl::unexpected(mode.error());
    config.tls.mode = *mode;
  }
  apply_caching(*this, config.caching);
  if (origin_connection_limit) config.origin_connection_limit = *origin_connection_limit;
  for (const auto& [setting, value] : settings) {
    if (auto done = setting->set(config.local, value); !done) return done;
  }
  return {};
}

}  // namespace hyperdrive::cli
