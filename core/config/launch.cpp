// Launch <-> JSON: the only JSON with secrets in it.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "core/config/json.hpp"
#include "core/config/settings.hpp"
#include "core/config/text.hpp"

namespace hyperdrive::core {
namespace {

using Json = nlohmann::ordered_json;

std::string revealed(const Secret& secret) { return std::string(secret.reveal()); }

Json config_json(const Config& config) {
  const Origin& origin = config.origin;
  Json json;
  json["id"] = config.id;
  json["name"] = config.name;
  json["remote_id"] = config.remote_id;
  json["origin"] = {{"scheme", scheme_name(origin.scheme)},
                    {"scheme_text", origin.scheme_text},
                    {"host", origin.host},
                    {"port", origin.port},
                    {"database", origin.database},
                    {"user", origin.user},
                    {"password", revealed(origin.password)},
                    {"service_id", origin.service_id},
                    {"access_client_id", origin.access_client_id},
                    {"access_client_secret", revealed(origin.access_client_secret)},
                    {"application_name", origin.application_name}};
  json["tls"] = {{"sslmode", ssl_mode_name(config.tls.mode, Scheme::kPostgresql)},
                 {"ca_certificate_id", config.tls.ca_certificate_id},
                 {"mtls_certificate_id", config.tls.mtls_certificate_id}};
  json["caching"]["disabled"] = config.caching.disabled;
  if (config.caching.max_age) json["caching"]["max_age"] = *config.caching.max_age;
  if (config.caching.stale_while_revalidate)
    json["caching"]["stale_while_revalidate"] = *config.caching.stale_while_revalidate;
  json["origin_connection_limit"] = config.origin_connection_limit;
  json["created_on"] = config.created_on;
  json["modified_on"] = config.modified_on;
  json["local_user"] = config.local.local_user;
  json["local_password"] = revealed(config.local.local_password);
  json["cache_password"] = revealed(config.local.cache_password);
  json["local"] = settings_json(config.local);
  return json;
}

// --- reading: a field of the wrong kind throws, and `parse_launch` alone catches
// -------------------

Secret secret(const Json& json, const char* key) { return Secret(json.value(key, std::string())); }

void read_origin(const Json& json, Origin& origin) {
  if (auto scheme = parse_scheme(json.value("scheme", "postgresql"))) origin.scheme = *scheme;
  origin.scheme_text = json.value("scheme_text", "");
  origin.host = json.value("host", "");
  origin.port = json.value("port", std::uint16_t{0});
  origin.database = json.value("database", "");
  origin.user = json.value("user", "");
  origin.password = secret(json, "password");
  origin.service_id = json.value("service_id", "");
  origin.access_client_id = json.value("access_client_id", "");
  origin.access_client_secret = secret(json, "access_client_secret");
  origin.application_name = json.value("application_name", "");
}

// The document has Postgres's words for both protocols. An unknown one must not become the default:
// that could be less than what was asked for.
Result<void> read_tls(const Json& json, Tls& tls) {
  const std::string mode = json.value("sslmode", "");
  if (!mode.empty()) {
    auto parsed = parse_ssl_mode(mode, Scheme::kPostgresql);
    if (!parsed) return tl::unexpected(parsed.error());
    tls.mode = *parsed;
  }
  tls.ca_certificate_id = json.value("ca_certificate_id", "");
  tls.mtls_certificate_id = json.value("mtls_certificate_id", "");
  return {};
}

void read_caching(const Json& json, Caching& caching) {
  caching.disabled = json.value("disabled", false);
  if (json.contains("max_age")) caching.max_age = json["max_age"].get<int>();
  if (json.contains("stale_while_revalidate"))
    caching.stale_while_revalidate = json["stale_while_revalidate"].get<int>();
}

Result<Config> read_config(const Json& json) {
  Config config;
  config.id = json.value("id", "");
  config.name = json.value("name", "");
  config.remote_id = json.value("remote_id", "");
  read_origin(json.at("origin"), config.origin);
  if (json.contains("tls"))
    if (auto read = read_tls(json["tls"], config.tls); !read) return tl::unexpected(read.error());
  if (json.contains("caching")) read_caching(json["caching"], config.caching);
  config.origin_connection_limit =
      json.value("origin_connection_limit", kDefaultOriginConnectionLimit);
  config.created_on = json.value("created_on", "");
  config.modified_on = json.value("modified_on", "");
  if (json.contains("local"))
    if (auto read = read_settings(config.local, json["local"]); !read)
      return tl::unexpected(read.error());
  config.local.local_user = json.value("local_user", "hyperdrive");
  config.local.local_password = secret(json, "local_password");
  config.local.cache_password = secret(json, "cache_password");
  return config;
}

Result<Launch> read_launch(const Json& json) {
  auto config = read_config(json.at("config"));
  if (!config) return tl::unexpected(config.error());
  Launch launch;
  launch.config = std::move(*config);
  if (json.contains("certificates")) {
    const Json& certificates = json["certificates"];
    launch.certificates.ca_pem = certificates.value("ca", "");
    launch.certificates.client_pem = certificates.value("client", "");
    launch.certificates.client_key_pem = secret(certificates, "client_key");
  }
  launch.admin_socket = json.value("admin_socket", "");
  launch.handover_socket = json.value("handover_socket", "");
  launch.log_file = json.value("log_file", "");
  launch.exit_with_parent = json.value("exit_with_parent", false);
  launch.listen_fds = json.value("listen_fds", std::vector<int>{});
  launch.handover_fd = json.value("handover_fd", -1);
  launch.lock_fd = json.value("lock_fd", -1);
  return launch;
}

}  // namespace

Secret launch_json(const Launch& launch) {
  Json json;
  json["config"] = config_json(launch.config);
  json["certificates"] = {{"ca", launch.certificates.ca_pem},
                          {"client", launch.certificates.client_pem},
                          {"client_key", revealed(launch.certificates.client_key_pem)}};
  json["admin_socket"] = launch.admin_socket;
  json["handover_socket"] = launch.handover_socket;
  json["log_file"] = launch.log_file;
  json["exit_with_parent"] = launch.exit_with_parent;
  json["listen_fds"] = launch.listen_fds;
  json["handover_fd"] = launch.handover_fd;
  json["lock_fd"] = launch.lock_fd;
  return Secret(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

Result<Launch> parse_launch(std::string_view text) {
  // nlohmann's messages quote the input, which holds passwords: they are not passed on.
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object())
    return fail("The configuration that the proxy was given is not a JSON document.",
                "Start it with `hyperdrive start` or `hyperdrive dev`.");
  try {
    return read_launch(json);
  } catch (const Json::exception&) {
    return fail("The configuration that the proxy was given has a field of the wrong kind.",
                "Check that hyperdrive and hyperdrive-proxy are of the same version.");
  }
}

}  // namespace hyperdrive::core
