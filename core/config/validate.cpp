#include "core/config/validate.hpp"
#include "core/config/conceal.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/config/percent.hpp"
#include "core/config/settings.hpp"
#include "core/config/text.hpp"

namespace hyperdrive::core {
namespace {

bool has_control(std::string_view text) {
  for (const unsigned char c : text)
    if (c < 0x20 || c == 0x7f) return true;
  return false;
}

Result<void> check_text(std::string_view text, std::string_view what) {
  if (has_control(text)) return usage(fmt::format("{} contains a control character.", what));
  if (!is_utf8(text)) return usage(fmt::format("{} is not UTF-8 text.", what));
  return {};
}

Result<void> validate_network(const Origin& origin) {
  if (!origin.service_id.empty()) {
    if (!origin.host.empty() || origin.port != 0)
      return usage("A service id and an origin host exclude each other.",
                   "Give --service-id alone, or --origin-host and --origin-port.");
    return check_text(origin.service_id, "The service id");
  }
  if (origin.host.empty())
    return usage("The origin host is missing.",
                 "Give --origin-host, e.g. --origin-host=database.example.com.");
  if (origin.host.find_first_of(std::string_view(" /?#@[]\\", 8)) != std::string::npos)
    return usage("The origin host is not a host name or an IP address.",
                 "Give the bare name or address; an IPv6 address without brackets.");
  if (auto text = check_text(origin.host, "The origin host"); !text) return text;
  if (origin.access_client_id.empty() && !origin.access_client_secret.empty())
    return usage("The Access client secret has no client id.", "Give --access-client-id too.");
  if (origin.port == 0 && origin.access_client_id.empty())
    return usage("The origin port is missing.", "Give --origin-port, e.g. --origin-port=5432.");
  return {};
}

Result<void> validate_origin(const Origin& origin) {
  if (auto network = validate_network(origin); !network) return network;
  if (origin.database.empty())
    return usage("The database name is missing.", "Give --database, e.g. --database=postgres.");
  if (origin.user.empty())
    return usage("The user is missing.", "Give --origin-user, e.g. --origin-user=myuser.");
  if (auto text = check_text(origin.database, "The database name"); !text) return text;
  if (auto text = check_text(origin.user, "The user"); !text) return text;
  // Both protocols end strings with a zero byte.
  if (origin.password.reveal().find('\0') != std::string_view::npos)
    return usage("The password contains a zero byte.");
  if (!is_utf8(origin.password.reveal()))
    return usage("The password is not UTF-8 text.", "Set it anew at the origin, as UTF-8.");
  return check_text(origin.application_name, "The application name");
}

Result<void> validate_caching(const Caching& caching) {
  if (caching.disabled && (caching.max_age || caching.stale_while_revalidate))
    return usage("max-age and swr cannot be set when caching is disabled.",
                 "Leave out --caching-disabled, or --max-age and --swr.");
  if (caching.max_age && (*caching.max_age < 0 || *caching.max_age > kMaxMaxAge))
    return usage(fmt::format("max-age must be a whole number from 0 to {} (seconds), not {}.",
                             kMaxMaxAge, *caching.max_age));
  if (caching.stale_while_revalidate && *caching.stale_while_revalidate < 0)
    return usage(fmt::format("swr must be a whole number of at least 0 (seconds), not {}.",
                             *caching.stale_while_revalidate));
  return {};
}

Result<void> validate_tls(const Config& config) {
  if (config.tls.mode != SslMode::kAllow || !is_mysql(config.origin.scheme)) return {};
  return usage("sslmode 'allow' does not exist for MySQL.",
               "Use one of DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY.");
}

bool is_address(std::string text) {
  in6_addr address{};
  text.resize(std::min(text.find('%'), text.size()));  // fe80::1%eth0
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

Result<void> validate_local(const LocalSettings& local) {
  // Every value passes its own parser once more: what came by JSON or by code obeys the same
  // ranges.
  LocalSettings copy = local;
  for (const Setting& setting : settings())
    if (auto valid = setting.set(copy, setting.get(local)); !valid) return valid;
  if (local.tls_cert_file.empty() != local.tls_key_file.empty())
    return usage("A TLS certificate and its key go together.",
                 "Give both --tls-cert and --tls-key.");
  const bool wide = !local.listen.empty() && !is_loopback(local.listen);
  if (wide && !is_address(local.listen))
    return usage(fmt::format("--listen takes an IP address, not '{}'.", local.listen),
                 "0.0.0.0 and :: are all addresses of this machine.");
  if (wide && local.tls_cert_file.empty())
    return usage(
        fmt::format("Listening on {} needs TLS: it is not a loopback address.", local.listen),
        "Give --tls-cert FILE and --tls-key FILE.");
  if (local.admin_port != 0 && local.admin_port == local.local_port)
    return usage("The admin port and the local port are the same.");
  return {};
}

}  // namespace

Result<void> validate_name(std::string_view name) {
  if (name.empty())
    return usage("The name of a config must not be empty.", "Give it 1 to 63 bytes.");
  if (name.size() > kMaxNameBytes)
    return usage(fmt::format("The name of a config has at most {} bytes; this one has {}.",
                             kMaxNameBytes, name.size()),
                 "Choose a shorter one.");
  if (url_password(name))
    return usage("The name of the config looks like a connection string.",
                 "Give both: hyperdrive create <name> --connection-string …");
  return check_text(name, "The name of the config");
}

Result<std::vector<std::string>> validate(const Config& config) {
  for (const Result<void>& part :
       {validate_name(config.name), validate_origin(config.origin), validate_tls(config),
        validate_caching(config.caching), validate_local(config.local)})
    if (!part) return tl::unexpected(part.error());
  const int limit = config.origin_connection_limit;
  if (limit < 1 || limit > kMaxOriginConnectionLimit)
    return usage(
        fmt::format("The origin connection limit must be a whole number from 1 to {}, "
                    "not {}.",
                    kMaxOriginConnectionLimit, limit));
  std::vector<std::string> warnings;
  if (limit < 5 || limit > 100)
    warnings.push_back(fmt::format(
        "Cloudflare takes an origin connection limit from 5 to 100; {} holds only here.", limit));
  return warnings;
}

std::string only_from_cloudflare(const Origin& origin) {
  if (!origin.service_id.empty())
    return "This origin is a Workers VPC service: it is reachable only from Cloudflare.";
  if (!origin.access_client_id.empty())
    return "This origin is behind Cloudflare Access: it is reachable only from Cloudflare.";
  return "";
}

}  // namespace hyperdrive::core
