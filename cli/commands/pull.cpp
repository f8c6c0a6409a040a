// `hyperdrive pull`: makes the configs here like Cloudflare's. Passwords never come along.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/cloudflare_account.hpp"
#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/live.hpp"
#include "cli/output/progress.hpp"
#include "cli/secret_input.hpp"
#include "core/cloudflare/shapes.hpp"
#include "core/config/suggest.hpp"
#include "core/config/validate.hpp"

namespace hyperdrive::cli {
namespace {

namespace cloudflare = core::cloudflare;
using Json = nlohmann::ordered_json;

constexpr Flag kFlags[] = {
    {.name = "origin-password",
     .aliases = "password",
     .help = "The origin's password, for a single config",
     .secret = true},
    {.name = "origin-password-file",
     .help = "A file that holds the origin's password (-: standard input), for a single config",
     .offer = Offer::kFiles},
    {.name = "force",
     .kind = FlagKind::kBoolean,
     .help = "Overwrite a config here that has the name but another origin"},
};

constexpr Positional kPositionals[] = {{.name = "config",
                                        .help = "Name or id; none: all",
                                        .required = false,
                                        .many = true,
                                        .offer = Offer::kConfigs}};

constexpr Example kExamples[] = {
    {"hyperdrive pull", "every config of the account"},
    {"hyperdrive pull prod-db --origin-password-file ./password", "ready to start"},
};

struct Pulled {
  core::Config config;
  std::string action;  ///< created, updated, unchanged
};

core::Result<void> take_over(core::Config& config, const Json& remote,
                             const std::optional<core::Secret>& password) {
  const core::Origin before = config.origin;
  if (auto read = cloudflare::apply_body(config, remote, cloudflare::Meaning::kPulled); !read) {
    return core::fail(
        fmt::format("'{}' cannot be pulled: {}", remote_text(remote, "name"), read.error().message),
        read.error().hint);
  }
  // A password belongs to the place it was given for; elsewhere it must not be sent.
  const bool moved = before.host != config.origin.host || before.port != config.origin.port ||
                     before.user != config.origin.user ||
                     before.service_id != config.origin.service_id;
  if (moved && !before.password.empty()) config.origin.password = core::Secret();
  if (password) config.origin.password = *password;
  auto fine = core::validate(config);
  return fine ? core::Result<void>{} : tl::unexpected(fine.error());
}

core::Result<Pulled> create_here(core::Registry& registry, const Json& remote,
                                 const std::optional<core::Secret>& password) {
  core::Config config;
  if (auto done = take_over(config, remote, password); !done) return tl::unexpected(done.error());
  auto created = registry.create(std::move(config));
  if (!created) return tl::unexpected(created.error());
  return Pulled{std::move(*created), "created"};
}

core::Result<Pulled> update_here(Context& context, core::Registry& registry, const Pair& pair,
                                 const std::optional<core::Secret>& password) {
  const core::Config& local = *pair.local;
  if (!pair.linked && !same_origin(local, *pair.remote) && !context.args().on("force")) {
    return core::fail(
        fmt::format("A Hyperdrive config named '{}' with another origin exists here.", local.name),
        fmt::format("Look at `hyperdrive diff {0}`; rename the one here (hyperdrive update {0} "
                    "--name …), or pull with --force to overwrite it.",
                    core::shell_word(local)),
        core::code::kNameTaken);
  }
  if (cloudflare::differences(local, *pair.remote).empty() && !password) {
    return Pulled{local, "unchanged"};
  }
  auto updated = registry.update(
      local.id, [&](core::Config& config) { return take_over(config, *pair.remote, password); });
  if (!updated) return tl::unexpected(updated.error());
  if (auto told = tell_running_proxy(context, *updated, {}); !told) {
    return tl::unexpected(told.error());
  }
  return Pulled{std::move(*updated), "updated"};
}

core::Result<Pulled> pull_one(Context& context, const Pair& pair,
                              const std::optional<core::Secret>& password) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  auto pulled = pair.local ? update_here(context, **registry, pair, password)
                           : create_here(**registry, *pair.remote, password);
  if (!pulled) return pulled;
  pulled->config.remote_id = remote_text(*pair.remote, "id");
  if (auto noted = (*registry)->link_remote(pulled->config.id, pulled->config.remote_id); !noted) {
    return tl::unexpected(noted.error());
  }
  return pulled;
}

core::Result<bool> has_password(core::Registry& registry, core::Config config) {
  if (auto opened = registry.unseal(config); !opened) return tl::unexpected(opened.error());
  return !config.origin.password.empty();
}

/// What is to be pulled of all pairs; a name that is only here is an error.
core::Result<std::vector<Pair>> remote_ones(Context& context, std::vector<Pair> pairs) {
  std::vector<Pair> chosen;
  for (Pair& pair : pairs) {
    if (pair.remote) {
      chosen.push_back(std::move(pair));
    } else if (!context.args().positionals().empty()) {
      return core::fail(
          fmt::format("'{}' exists only here: there is nothing to pull.", pair.local->name),
          "`hyperdrive push` brings it to Cloudflare.", core::code::kNoSuchConfig);
    }
  }
  return chosen;
}

Outcome pull(Context& context) {
  auto client = cloudflare_client(context);
  if (!client) return tl::unexpected(client.error());
  auto pairs = [&] {
    const Progress progress(context.out(), "Asking Cloudflare");
    return pairs_of(context, *client);
  }();
  if (!pairs) return tl::unexpected(pairs.error());
  auto chosen = remote_ones(context, std::move(*pairs));
  if (!chosen) return tl::unexpected(chosen.error());
  auto password = password_input(context);
  if (!password) return tl::unexpected(password.error());
  if (*password && chosen->size() != 1) {
    return core::usage("A password can only be given for a single config.",
                       "Name the config: hyperdrive pull NAME --origin-password-file FILE");
  }
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  Json document = {{"pulled", Json::array()}};
  for (const Pair& pair : *chosen) {
    auto pulled = pull_one(context, pair, *password);
    if (!pulled) {
      context.out().document_if_json(document);
      return tl::unexpected(pulled.error());
    }
    auto ready = has_password(**registry, pulled->config);
    if (!ready) return tl::unexpected(ready.error());
    const core::Config& config = pulled->config;
    document["pulled"].push_back({{"id", config.id},
                                  {"name", config.name},
                                  {"remote_id", config.remote_id},
                                  {"action", pulled->action},
                                  {"password", *ready}});
    context.out().say(fmt::format("✅ {}: {} here as {}{}", printable(config.name), pulled->action,
                                  config.id,
                                  *ready ? ""
                                         : "; its password is asked for at start, or give it: "
                                           "hyperdrive update " +
                                               config.name + " --origin-password-file FILE"));
  }
  if (chosen->empty()) context.out().note("There is no Hyperdrive config at Cloudflare.");
  context.out().document_if_json(document);
  return 0;
}

}  // namespace

const Command kPull{
    .path = "pull",
    .summary = "Create or update configs here from those at Cloudflare",
    .details = "The API never gives passwords out: a pulled config has none until you give it one.",
    .positionals = kPositionals,
    .flags = kFlags,
    .examples = kExamples,
    .run = pull,
};

}  // namespace hyperdrive::cli
