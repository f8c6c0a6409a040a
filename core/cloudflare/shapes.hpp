// Configs in the shapes of Cloudflare's REST API: request bodies made and read, and what differs
// between a config here and one there. Pure. The bodies hold secrets where Cloudflare's do.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/config/config.hpp"

namespace hyperdrive::core::cloudflare {

/// The body of POST …/hyperdrive/configs, keys in wrangler's order. Local TLS modes that Cloudflare
/// does not know (disable, allow, prefer) and the certificates, whose ids are this registry's, stay
/// out.
nlohmann::ordered_json create_body(const Config& config);

/// One field in which a config here and its counterpart differ, both as text.
struct Difference {
  std::string field;  ///< `origin.host`, `caching.max_age`, `name` …
  std::string local;
  std::string remote;
};

/// Defaults count as given; passwords cannot be compared.
std::vector<Difference> differences(const Config& local, const nlohmann::ordered_json& remote);

/// The body of PATCH that removes these differences; with the password if `local` holds one and
/// `with_password`. An empty object if there is nothing to say.
enum class Password { kLeave, kSend };
nlohmann::ordered_json patch_body(const Config& local, const std::vector<Difference>& differences,
                                  Password password);

/// How a body is meant.
enum class Meaning {
  kCreate,   ///< POST: everything, the password too
  kReplace,  ///< PUT: likewise; caching falls back to its defaults, mtls and the limit stay
  kPatch,    ///< PATCH: what is given changes
  kPulled,   ///< an answer of Cloudflare: as kCreate, without secrets
};

/// Reads a body into `config`. Errors name the field; nothing of a secret is in them.
Result<void> apply_body(Config& config, const nlohmann::ordered_json& body, Meaning meaning);

/// Cloudflare reaches public addresses only: code 2009 for an origin on a loopback, private or
/// link-local address (names are resolved). An origin behind Access or a VPC service is fine.
Result<void> check_public(const Origin& origin);

/// Whether an address in text form is one that the Internet routes; false if it is no address.
bool is_public_address(std::string_view address);

}  // namespace hyperdrive::core::cloudflare
