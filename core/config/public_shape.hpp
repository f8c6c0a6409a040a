// Cloudflare's public shape of a config, said once for every way to write it down.
//
// `Writer` has open(key), field(key, text | bool | int) and close(): JsonTreeWriter and
// JsonTextWriter (json_writers.hpp), and the TOML of `export`. No secret. Pure.
#pragma once

#include "core/config/config.hpp"
#include "core/config/text.hpp"

namespace hyperdrive::core {

template <class Writer>
void write_origin_fields(const Origin& origin, Writer& out) {
  out.field("scheme", scheme_name(origin));
  if (!origin.service_id.empty()) {
    out.field("service_id", origin.service_id);
  } else {
    out.field("host", origin.host);
    if (origin.port != 0) out.field("port", static_cast<int>(origin.port));
  }
  out.field("database", origin.database);
  out.field("user", origin.user);
  if (!origin.access_client_id.empty()) out.field("access_client_id", origin.access_client_id);
}

template <class Writer>
void write_origin(const Origin& origin, Writer& out) {
  out.open("origin");
  write_origin_fields(origin, out);
  out.close();
}

template <class Writer>
void write_caching(const Caching& caching, Writer& out) {
  out.open("caching");
  out.field("disabled", caching.disabled);
  if (caching.max_age) out.field("max_age", *caching.max_age);
  if (caching.stale_while_revalidate)
    out.field("stale_while_revalidate", *caching.stale_while_revalidate);
  out.close();
}

template <class Writer>
void write_tls(const Config& config, Writer& out) {
  const Tls& tls = config.tls;
  if (tls.ca_certificate_id.empty() && tls.mtls_certificate_id.empty() &&
      tls.mode == SslMode::kDefault)
    return;
  out.open("mtls");
  if (!tls.ca_certificate_id.empty()) out.field("ca_certificate_id", tls.ca_certificate_id);
  if (!tls.mtls_certificate_id.empty()) out.field("mtls_certificate_id", tls.mtls_certificate_id);
  if (tls.mode != SslMode::kDefault)
    out.field("sslmode", ssl_mode_name(tls.mode, config.origin.scheme));
  out.close();
}

template <class Writer>
void write_public(const Config& config, Writer& out) {
  out.field("id", config.id);
  out.field("name", config.name);
  write_origin(config.origin, out);
  out.field("origin_connection_limit", config.origin_connection_limit);
  out.field("created_on", config.created_on);
  out.field("modified_on", config.modified_on);
  write_caching(config.caching, out);
  write_tls(config, out);
}

}  // namespace hyperdrive::core
