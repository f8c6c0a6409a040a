#include "cli/cloudflare_account.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "core/cloudflare/shapes.hpp"
#include "core/wrangler/dotenv.hpp"

namespace hyperdrive::cli {
namespace {

using Json = nlohmann::ordered_json;

bool names(const Pair& pair, const std::string& which) {
  if (pair.local &&
      (pair.local->id == which || pair.local->name == which || pair.local->remote_id == which)) {
    return true;
  }
  return pair.remote &&
         (remote_text(*pair.remote, "id") == which || remote_text(*pair.remote, "name") == which);
}

}  // namespace

std::string remote_text(const Json& config, const char* key) {
  const auto found = config.find(key);
  return found != config.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool same_origin(const core::Config& local, const Json& remote) {
  const auto differences = core::cloudflare::differences(local, remote);
  return std::none_of(differences.begin(), differences.end(), [](const auto& difference) {
    return difference.field.starts_with("origin.") && difference.field != "origin.scheme";
  });
}

core::Result<core::cloudflare::Client> cloudflare_client(Context& context) {
  std::vector<std::filesystem::path> files;
  for (const std::string& file : context.args().list("env-file")) files.emplace_back(file);
  const auto variables =
      core::wrangler::load_dotenv(std::filesystem::current_path(), context.environment(), files);
  auto account =
      core::cloudflare::account_from([&](std::string_view name) -> std::optional<std::string> {
        if (auto own = environment_variable(std::string(name).c_str())) return own;
        const auto found = variables.find(name);
        if (found == variables.end()) return {};
        return found->second;
      });
  if (!account) return tl::unexpected(account.error());
  return core::cloudflare::Client(std::move(*account));
}

core::Result<std::vector<Pair>> pair_up(std::vector<core::Config> local, std::vector<Json> remote,
                                        const std::vector<std::string>& which) {
  std::vector<Pair> pairs;
  std::vector<bool> used(remote.size());
  const auto take = [&](Pair& pair, const char* key, const std::string& wanted) {
    for (std::size_t i = 0; i < remote.size() && !wanted.empty() && !pair.remote; ++i) {
      if (used[i] || remote_text(remote[i], key) != wanted) continue;
      used[i] = true;
      pair.remote = std::move(remote[i]);
    }
  };
  for (core::Config& config : local) {
    Pair pair{.local = std::move(config)};
    take(pair, "id", pair.local->remote_id);
    pair.linked = pair.remote.has_value();
    pairs.push_back(std::move(pair));
  }
  for (Pair& pair : pairs) take(pair, "name", pair.remote ? "" : pair.local->name);
  for (std::size_t i = 0; i < remote.size(); ++i) {
    if (!used[i]) pairs.push_back({.remote = std::move(remote[i])});
  }
  if (which.empty()) return pairs;

  std::vector<Pair> chosen;
  for (const std::string& one : which) {
    const auto found = std::find_if(pairs.begin(), pairs.end(),
                                    [&](const Pair& pair) { return names(pair, one); });
    if (found == pairs.end()) {
      return core::fail(
          fmt::format("There is no Hyperdrive config '{}', neither here nor at Cloudflare.", one),
          "`hyperdrive diff` shows those that there are.", core::code::kNoSuchConfig);
    }
    chosen.push_back(*found);
  }
  return chosen;
}

core::Result<std::vector<Pair>> pairs_of(Context& context, core::cloudflare::Client& client) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  auto local = (*registry)->list();
  if (!local) return tl::unexpected(local.error());
  auto remote = client.list();
  if (!remote) return tl::unexpected(remote.error());
  return pair_up(std::move(*local), std::move(*remote), context.args().positionals());
}

}  // namespace hyperdrive::cli
