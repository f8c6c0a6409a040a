// Cloudflare as `push`, `pull` and `diff` see it: the account of the environment or of .env, and
// configs here paired with those there.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/context.hpp"
#include "core/base/error.hpp"
#include "core/cloudflare/client.hpp"
#include "core/config/config.hpp"

namespace hyperdrive::cli {

/// A client for the account that CLOUDFLARE_API_TOKEN and its kin name, in the environment or in
/// .env files (`--env-file`); the environment wins.
core::Result<core::cloudflare::Client> cloudflare_client(Context& context);

/// A config here, one there, or both.
struct Pair {
  std::optional<core::Config> local;
  std::optional<nlohmann::ordered_json> remote;
  bool linked = false;  ///< by the remote id that the registry remembers; else by name only
};

/// Pairs by remote id, then by name. `which`: names or ids, local or remote, empty: all; one that
/// is nowhere is 2006.
core::Result<std::vector<Pair>> pair_up(std::vector<core::Config> local,
                                        std::vector<nlohmann::ordered_json> remote,
                                        const std::vector<std::string>& which);

/// Both lists, paired.
core::Result<std::vector<Pair>> pairs_of(Context& context, core::cloudflare::Client& client);

std::string remote_text(const nlohmann::ordered_json& config, const char* key);

/// The same place: host, port, database, user. Two configs of one name at different places are
/// taken for strangers.
bool same_origin(const core::Config& local, const nlohmann::ordered_json& remote);

}  // namespace hyperdrive::cli
