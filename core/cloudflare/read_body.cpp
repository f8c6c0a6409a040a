// apply_body: a request's JSON into a Config.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "core/cloudflare/shapes.hpp"
#include "core/config/text.hpp"

namespace hyperdrive::core::cloudflare {
namespace {

using Json = nlohmann::ordered_json;

tl::unexpected<Error> bad(std::string_view field, std::string_view wanted) {
  return usage(fmt::format("'{}' must be {}.", field, wanted));
}

/// Reads the members of one object; the first one of a wrong kind is kept as the error.
class Reader {
 public:
  Reader(const Json& object, std::string prefix) : object_(object), prefix_(std::move(prefix)) {}

  bool has(const char* key) const {
    const auto found = object_.find(key);
    return found != object_.end() && !found->is_null();
  }

  std::optional<std::string> text(const char* key) {
    if (!has(key)) return {};
    const Json& value = object_[key];
    if (value.is_string()) return value.get<std::string>();
    note(key, "a string");
    return {};
  }

  std::optional<int> integer(const char* key, int low, int high) {
    if (!has(key)) return {};
    const Json& value = object_[key];
    if (value.is_number_integer() && value.get<std::int64_t>() >= low &&
        value.get<std::int64_t>() <= high) {
      return value.get<int>();
    }
    note(key, fmt::format("a whole number from {} to {}", low, high));
    return {};
  }

  std::optional<bool> boolean(const char* key) {
    if (!has(key)) return {};
    if (object_[key].is_boolean()) return object_[key].get<bool>();
    note(key, "true or false");
    return {};
  }

  Result<void> done() const { return error_ ? tl::unexpected(*error_) : Result<void>{}; }

 private:
  void note(const char* key, const std::string& wanted) {
    if (!error_) error_ = bad(prefix_ + key, wanted).value();
  }

  const Json& object_;
  std::string prefix_;
  std::optional<Error> error_;
};

/// The network location: a host with its port, a host behind Access, or a VPC service.
Result<void> apply_location(Origin& origin, Reader& reader) {
  const auto host = reader.text("host");
  const auto port = reader.integer("port", 1, 65535);
  const auto service = reader.text("service_id");
  const auto access = reader.text("access_client_id");
  const auto access_secret = reader.text("access_client_secret");
  if (service && (host || port || access)) {
    return usage("'origin.service_id' excludes host, port and access_client_id.");
  }
  if (service) {
    origin.service_id = *service;
    origin.host.clear();
    origin.port = 0;
    origin.access_client_id.clear();
    origin.access_client_secret = Secret();
  }
  if (host) {
    origin.host = *host;
    origin.service_id.clear();
  }
  if (access) {
    origin.access_client_id = *access;
    if (!access->empty()) origin.port = 0;
  }
  if (access_secret) origin.access_client_secret = Secret(*access_secret);
  if (port) {
    origin.port = static_cast<std::uint16_t>(*port);
    if (!access) {
      origin.access_client_id.clear();
      origin.access_client_secret = Secret();
    }
  }
  const bool direct = origin.service_id.empty() && origin.access_client_id.empty();
  if (direct && origin.port == 0) origin.port = default_port(origin.scheme);
  return {};
}

Result<void> apply_origin(Origin& origin, const Json& body, Meaning meaning) {
  if (!body.is_object()) return bad("origin", "an object");
  Reader reader(body, "origin.");
  if (meaning == Meaning::kReplace) {
    // A replacement brings the whole location: nothing of the old one may shine through.
    origin.host.clear();
    origin.service_id.clear();
    origin.access_client_id.clear();
    origin.access_client_secret = Secret();
    origin.port = 0;
  }
  if (const auto scheme = reader.text("scheme")) {
    auto parsed = parse_scheme(*scheme);
    if (!parsed) return tl::unexpected(parsed.error());
    origin.scheme = *parsed;
    origin.scheme_text.clear();
  }
  if (const auto database = reader.text("database")) origin.database = *database;
  if (const auto user = reader.text("user")) origin.user = *user;
  if (auto password = reader.text("password")) origin.password = Secret(std::move(*password));
  if (auto done = apply_location(origin, reader); !done) return done;
  if (auto fine = reader.done(); !fine) return fine;
  const bool whole = meaning == Meaning::kCreate || meaning == Meaning::kReplace;
  for (const char* key : {"scheme", "database", "user", "password"}) {
    if (whole && !reader.has(key)) return usage(fmt::format("'origin.{}' is missing.", key));
  }
  return {};
}

Result<void> apply_caching(Caching& caching, const Json& body) {
  if (!body.is_object()) return bad("caching", "an object");
  Reader reader(body, "caching.");
  if (const auto disabled = reader.boolean("disabled")) caching.disabled = *disabled;
  if (const auto age = reader.integer("max_age", 0, 3600)) caching.max_age = *age;
  if (const auto swr = reader.integer("stale_while_revalidate", 0, 1'000'000'000)) {
    caching.stale_while_revalidate = *swr;
  }
  if (caching.disabled) {
    // As documented: custom settings are not kept when caching is disabled.
    caching.max_age.reset();
    caching.stale_while_revalidate.reset();
  }
  return reader.done();
}

Result<void> apply_tls(Config& config, const Json& body) {
  if (!body.is_object()) return bad("mtls", "an object");
  Reader reader(body, "mtls.");
  if (const auto id = reader.text("ca_certificate_id")) config.tls.ca_certificate_id = *id;
  if (const auto id = reader.text("mtls_certificate_id")) config.tls.mtls_certificate_id = *id;
  if (const auto word = reader.text("sslmode")) {
    auto mode = parse_ssl_mode(*word, config.origin.scheme);
    if (!mode) return tl::unexpected(mode.error());
    config.tls.mode = *mode;
  }
  return reader.done();
}

}  // namespace

Result<void> apply_body(Config& config, const Json& body, Meaning meaning) {
  if (!body.is_object()) return usage("The request body is not a JSON object.");
  Reader reader(body, "");
  if (reader.has("integration")) {
    return usage("'integration' (PlanetScale) is linked at Cloudflare and cannot be served here.");
  }
  const bool whole = meaning != Meaning::kPatch;
  for (const char* key : {"name", "origin"}) {
    if (whole && !reader.has(key)) return usage(fmt::format("'{}' is missing.", key));
  }
  if (const auto name = reader.text("name")) config.name = *name;
  if (const auto limit = reader.integer("origin_connection_limit", 1, 1000)) {
    config.origin_connection_limit = *limit;
  }
  if (reader.has("origin")) {
    if (auto done = apply_origin(config.origin, body["origin"], meaning); !done) return done;
  }
  if (meaning == Meaning::kReplace) config.caching = {};
  if (reader.has("caching")) {
    if (auto done = apply_caching(config.caching, body["caching"]); !done) return done;
  }
  if (reader.has("mtls") && meaning != Meaning::kPulled) {
    if (auto done = apply_tls(config, body["mtls"]); !done) return done;
  }
  // Certificates that an answer names lie at Cloudflare; only the mode means something here.
  if (reader.has("mtls") && meaning == Meaning::kPulled && body["mtls"].contains("sslmode")) {
    if (auto done = apply_tls(config, {{"sslmode", body["mtls"]["sslmode"]}}); !done) return done;
  }
  return reader.done();
}

}  // namespace hyperdrive::core::cloudflare
