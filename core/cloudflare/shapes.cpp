#include "core/cloudflare/shapes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/config/text.hpp"

namespace hyperdrive::core::cloudflare {
namespace {

using Json = nlohmann::ordered_json;

/// Cloudflare's word for a TLS mode; empty if it has none.
std::string tls_word(const Config& config) {
  const SslMode mode = config.tls.mode;
  const bool known =
      mode == SslMode::kRequire || mode == SslMode::kVerifyCa || mode == SslMode::kVerifyFull;
  return known ? std::string(ssl_mode_name(mode, config.origin.scheme)) : std::string();
}

Json origin_body(const Origin& origin) {
  const bool plain = origin.service_id.empty() && origin.access_client_id.empty();
  Json json = Json::object();
  if (plain) {
    json["host"] = origin.host;
    json["port"] = origin.port;
  }
  json["scheme"] = scheme_name(origin);
  json["database"] = origin.database;
  json["user"] = origin.user;
  json["password"] = origin.password.reveal();
  if (!origin.service_id.empty()) json["service_id"] = origin.service_id;
  if (!origin.access_client_id.empty()) {
    json["access_client_id"] = origin.access_client_id;
    json["access_client_secret"] = origin.access_client_secret.reveal();
    json["host"] = origin.host;
  }
  return json;
}

Json caching_body(const Caching& caching) {
  Json json = Json::object();
  json["disabled"] = caching.disabled;
  if (caching.disabled) return json;
  if (caching.max_age) json["max_age"] = *caching.max_age;
  if (caching.stale_while_revalidate) {
    json["stale_while_revalidate"] = *caching.stale_while_revalidate;
  }
  return json;
}

const Json& at(const Json& object, const char* key) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

std::string text(const Json& value) {
  if (value.is_null()) return "";
  return value.is_string() ? value.get<std::string>()
                           : value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string text_or(const Json& value, int fallback) {
  return value.is_null() ? std::to_string(fallback) : text(value);
}

/// postgres and postgresql are one.
std::string scheme_text(std::string_view scheme) {
  return scheme == "postgres" ? "postgresql" : std::string(scheme);
}

}  // namespace

Json create_body(const Config& config) {
  Json body = {{"name", config.name}, {"origin", origin_body(config.origin)}};
  const Caching& caching = config.caching;
  if (caching.disabled || caching.max_age || caching.stale_while_revalidate) {
    body["caching"] = caching_body(caching);
  }
  if (const std::string word = tls_word(config); !word.empty()) body["mtls"]["sslmode"] = word;
  body["origin_connection_limit"] = config.origin_connection_limit;
  return body;
}

std::vector<Difference> differences(const Config& local, const Json& remote) {
  std::vector<Difference> found;
  const auto compare = [&](const char* field, std::string here, std::string there) {
    if (here != there) found.push_back({field, std::move(here), std::move(there)});
  };
  const Json& origin = at(remote, "origin");
  compare("name", local.name, text(at(remote, "name")));
  compare("origin.scheme", scheme_text(scheme_name(local.origin)),
          scheme_text(text(at(origin, "scheme"))));
  compare("origin.host", local.origin.host, text(at(origin, "host")));
  const std::string port = local.origin.port == 0 ? "" : std::to_string(local.origin.port);
  const bool has_port = local.origin.service_id.empty() && local.origin.access_client_id.empty();
  if (has_port) compare("origin.port", port, text(at(origin, "port")));
  compare("origin.database", local.origin.database, text(at(origin, "database")));
  compare("origin.user", local.origin.user, text(at(origin, "user")));
  compare("origin.service_id", local.origin.service_id, text(at(origin, "service_id")));
  compare("origin.access_client_id", local.origin.access_client_id,
          text(at(origin, "access_client_id")));

  const Json& caching = at(remote, "caching");
  const bool disabled = at(caching, "disabled") == true;
  compare("caching.disabled", local.caching.disabled ? "true" : "false",
          disabled ? "true" : "false");
  if (!disabled && !local.caching.disabled) {
    compare("caching.max_age", std::to_string(local.caching.max_age.value_or(kDefaultMaxAge)),
            text_or(at(caching, "max_age"), kDefaultMaxAge));
    compare(
        "caching.stale_while_revalidate",
        std::to_string(local.caching.stale_while_revalidate.value_or(kDefaultStaleWhileRevalidate)),
        text_or(at(caching, "stale_while_revalidate"), kDefaultStaleWhileRevalidate));
  }
  if (const std::string word = tls_word(local); !word.empty()) {
    compare("mtls.sslmode", word, text(at(at(remote, "mtls"), "sslmode")));
  }
  if (const Json& limit = at(remote, "origin_connection_limit"); !limit.is_null()) {
    compare("origin_connection_limit", std::to_string(local.origin_connection_limit), text(limit));
  }
  return found;
}

Json patch_body(const Config& local, const std::vector<Difference>& differences,
                Password password) {
  Json body = Json::object();
  const Json whole = create_body(local);
  const auto differs = [&](std::string_view prefix) {
    return std::any_of(differences.begin(), differences.end(),
                       [&](const Difference& d) { return d.field.starts_with(prefix); });
  };
  if (differs("name")) body["name"] = local.name;
  // The network location goes as a whole: Cloudflare takes a port only with its host.
  const bool location = differs("origin.host") || differs("origin.port") ||
                        differs("origin.service_id") || differs("origin.access_client_id");
  for (const auto& [key, value] : whole["origin"].items()) {
    const bool of_location =
        key == "host" || key == "port" || key == "service_id" || key.starts_with("access_client");
    const bool secret = key == "password";
    const bool wanted = secret        ? password == Password::kSend && !value.empty() && value != ""
                        : of_location ? location
                                      : differs("origin." + key);
    if (wanted) body["origin"][key] = value;
  }
  if (differs("caching")) body["caching"] = caching_body(local.caching);
  if (differs("mtls")) body["mtls"] = whole["mtls"];
  if (differs("origin_connection_limit")) {
    body["origin_connection_limit"] = local.origin_connection_limit;
  }
  return body;
}

}  // namespace hyperdrive::core::cloudflare
