// `hyperdrive push`: makes Cloudflare's configs like those here, and offers to have the wrangler
// file's bindings carry Cloudflare's ids.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/cloudflare_account.hpp"
#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/output/progress.hpp"
#include "cli/output/prompt.hpp"
#include "cli/wrangler_file.hpp"
#include "core/cloudflare/shapes.hpp"
#include "core/config/suggest.hpp"
#include "core/wrangler/file.hpp"

namespace hyperdrive::cli {
namespace {

namespace cloudflare = core::cloudflare;
namespace wrangler = core::wrangler;
using Json = nlohmann::ordered_json;

constexpr Flag kFlags[] = {
    {.name = "update-config",
     .kind = FlagKind::kBoolean,
     .help = "Rewrite the bindings of the wrangler file here to Cloudflare's ids without asking"},
    {.name = "force",
     .kind = FlagKind::kBoolean,
     .help = "Overwrite a config at Cloudflare that has the name but another origin"},
};

constexpr Positional kPositionals[] = {{.name = "config",
                                        .help = "Name or id; none: all",
                                        .required = false,
                                        .many = true,
                                        .offer = Offer::kConfigs}};

constexpr Example kExamples[] = {
    {"hyperdrive push prod-db", "create it at Cloudflare, or bring it up to date"},
    {"hyperdrive push --update-config", "all, and the wrangler file's bindings with them"},
};

core::Result<void> warn_of_what_stays(Context& context, core::Registry& registry,
                                      const core::Config& config) {
  const auto& tls = config.tls;
  if (tls.mode == core::SslMode::kDisable || tls.mode == core::SslMode::kAllow ||
      tls.mode == core::SslMode::kPrefer) {
    context.out().warn(
        fmt::format("{}: Cloudflare always uses TLS to the origin; this sslmode holds only here.",
                    config.name));
  }
  for (const std::string& id : {tls.ca_certificate_id, tls.mtls_certificate_id}) {
    if (id.empty() || !registry.find_certificate(id)) continue;
    context.out().warn(
        fmt::format("{}: the certificate {} lies only here. Upload it with `wrangler cert upload`, "
                    "then name it "
                    "with `wrangler hyperdrive update`.",
                    config.name, id));
  }
  return {};
}

/// What became of one config.
struct Pushed {
  core::Config config;
  std::string action;  ///< created, updated, unchanged
};

core::Result<Json> create_there(cloudflare::Client& client, const core::Config& config) {
  if (config.origin.password.empty()) {
    return core::fail(
        fmt::format("'{}' has no password yet, and Cloudflare wants one to create it.",
                    config.name),
        fmt::format("Give it: hyperdrive update {} --origin-password-file FILE",
                    core::shell_word(config)));
  }
  return client.create(cloudflare::create_body(config));
}

core::Result<Pushed> push_one(Context& context, cloudflare::Client& client, const Pair& pair) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  core::Config config = *pair.local;
  if (auto open = cloudflare::check_public(config.origin); !open) {
    return tl::unexpected(open.error());
  }
  if (auto opened = (*registry)->unseal(config); !opened) return tl::unexpected(opened.error());
  if (auto said = warn_of_what_stays(context, **registry, config); !said) {
    return tl::unexpected(said.error());
  }
  if (pair.remote && !pair.linked && !same_origin(config, *pair.remote) &&
      !context.args().on("force")) {
    return core::fail(
        fmt::format("A Hyperdrive config named '{}' with another origin exists at Cloudflare.",
                    config.name),
        fmt::format("Look at `hyperdrive diff {0}`; rename the one here (hyperdrive update {0} "
                    "--name …), or push with --force to overwrite that one.",
                    core::shell_word(config)),
        core::code::kNameTaken);
  }
  Pushed pushed{config, "unchanged"};
  std::string remote_id;
  if (!pair.remote) {
    auto created = create_there(client, config);
    if (!created) return tl::unexpected(created.error());
    remote_id = remote_text(*created, "id");
    pushed.action = "created";
  } else {
    remote_id = remote_text(*pair.remote, "id");
    auto changed = (*registry)->changed_since_push(config.id);
    if (!changed) return tl::unexpected(changed.error());
    const Json body = cloudflare::patch_body(
        config, cloudflare::differences(config, *pair.remote),
        *changed ? cloudflare::Password::kSend : cloudflare::Password::kLeave);
    if (!body.empty()) {
      auto patched = client.patch(remote_id, body);
      if (!patched) return tl::unexpected(patched.error());
      pushed.action = "updated";
    }
  }
  if (auto noted = (*registry)->link_remote(config.id, remote_id); !noted) {
    return tl::unexpected(noted.error());
  }
  pushed.config.remote_id = remote_id;
  return pushed;
}

/// Bindings of the wrangler file here that still carry a pushed config's local id.
struct Rewrite {
  wrangler::Binding binding;
  std::string id;
};

std::vector<Rewrite> rewrites_of(const WranglerFile& file, const std::vector<Pushed>& all) {
  std::vector<Rewrite> rewrites;
  for (const auto& binding : file.reading.bindings) {
    for (const Pushed& pushed : all) {
      if (binding.id == pushed.config.id && binding.id != pushed.config.remote_id) {
        rewrites.push_back({binding, pushed.config.remote_id});
      }
    }
  }
  return rewrites;
}

core::Result<bool> may_rewrite(Context& context, const std::string& file, std::size_t count) {
  const auto told = context.args().boolean("update-config");
  if (told) return *told;
  if (context.args().on("yes")) return true;
  if (context.may_ask()) {
    return ask_yes_no(context.out(),
                      fmt::format("Rewrite {} binding{} of {} to Cloudflare's id?", count,
                                  count == 1 ? "" : "s", file),
                      true);
  }
  context.out().note(fmt::format(
      "{} binding(s) of {} still carry local ids; `hyperdrive push --update-config` rewrites them.",
      count, file));
  return false;
}

core::Result<Json> rewrite_bindings(Context& context, const std::vector<Pushed>& all) {
  Json done = Json::array();
  auto file = read_wrangler_file(context);
  if (!file) return tl::unexpected(file.error());
  if (!*file) return done;
  const auto rewrites = rewrites_of(**file, all);
  if (rewrites.empty()) return done;
  const std::string shown = display_path((*file)->path);
  auto wanted = may_rewrite(context, shown, rewrites.size());
  if (!wanted) return tl::unexpected(wanted.error());
  if (!*wanted) return done;
  auto changed =
      wrangler::edit_file((*file)->path, [&](std::string_view text) -> core::Result<std::string> {
        std::string result(text);
        for (const Rewrite& one : rewrites) {
          auto next = wrangler::bind(result, (*file)->format, {shown, one.binding.environment},
                                     one.binding.name, one.id);
          if (!next) return next;
          result = std::move(*next);
        }
        return result;
      });
  if (!changed) return tl::unexpected(changed.error());
  for (const Rewrite& one : rewrites) {
    done.push_back(
        {{"binding", one.binding.name}, {"environment", one.binding.environment}, {"id", one.id}});
    context.out().say(fmt::format("✅ {} binds {} to {}", shown, one.binding.name, one.id));
  }
  return done;
}

Outcome conclude(Context& context, const std::vector<Pushed>& all,
                 const std::optional<core::Error>& failure) {
  auto bindings = rewrite_bindings(context, all);
  Json document = {{"pushed", Json::array()}, {"bindings", bindings ? *bindings : Json::array()}};
  for (const Pushed& one : all) {
    document["pushed"].push_back({{"id", one.config.id},
                                  {"name", one.config.name},
                                  {"remote_id", one.config.remote_id},
                                  {"action", one.action}});
  }
  context.out().document_if_json(document);
  if (failure) return tl::unexpected(*failure);
  if (!bindings) return tl::unexpected(bindings.error());
  return 0;
}

Outcome push(Context& context) {
  auto client = cloudflare_client(context);
  if (!client) return tl::unexpected(client.error());
  auto pairs = [&] {
    const Progress progress(context.out(), "Asking Cloudflare");
    return pairs_of(context, *client);
  }();
  if (!pairs) return tl::unexpected(pairs.error());
  const bool named = !context.args().positionals().empty();
  std::vector<Pushed> all;
  for (const Pair& pair : *pairs) {
    if (!pair.local) {
      if (!named) continue;
      return core::fail(fmt::format("'{}' exists only at Cloudflare: there is nothing to push.",
                                    remote_text(*pair.remote, "name")),
                        "`hyperdrive pull` brings it here.", core::code::kNoSuchConfig);
    }
    auto pushed = push_one(context, *client, pair);
    if (!pushed) return conclude(context, all, pushed.error());
    context.out().say(fmt::format("✅ {}: {} at Cloudflare as {}", printable(pair.local->name),
                                  pushed->action, pushed->config.remote_id));
    all.push_back(std::move(*pushed));
  }
  if (all.empty()) context.out().note("There is nothing to push.");
  return conclude(context, all, {});
}

}  // namespace

const Command kPush{
    .path = "push",
    .summary = "Create or update configs at Cloudflare from those here",
    .details =
        "Reads CLOUDFLARE_API_TOKEN, CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_BASE_URL from "
        "the environment or from .env. Configs that exist only at Cloudflare stay.",
    .positionals = kPositionals,
    .flags = kFlags,
    .examples = kExamples,
    .run = push,
};

}  // namespace hyperdrive::cli
