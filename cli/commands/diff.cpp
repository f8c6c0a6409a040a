// `hyperdrive diff`: what differs between the configs here and those at Cloudflare.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/cloudflare_account.hpp"
#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/output/progress.hpp"
#include "core/cloudflare/shapes.hpp"
#include "core/config/suggest.hpp"

namespace hyperdrive::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr Flag kFlags[] = {
    {.name = "exit-code", .kind = FlagKind::kBoolean, .help = "Exit with 2 if anything differs"},
};

constexpr Positional kPositionals[] = {{.name = "config",
                                        .help = "Name or id, here or there; none: all",
                                        .required = false,
                                        .many = true,
                                        .offer = Offer::kConfigs}};

constexpr Example kExamples[] = {
    {"hyperdrive diff", "every config of the account and of this machine"},
    {"hyperdrive diff prod-db --json --exit-code", "in a script"},
};

Json entry_of(const Pair& pair) {
  Json entry;
  const bool here = pair.local.has_value();
  entry["name"] = here ? pair.local->name : remote_text(*pair.remote, "name");
  entry["id"] = here ? Json(pair.local->id) : Json();
  entry["remote_id"] = pair.remote ? Json(remote_text(*pair.remote, "id")) : Json();
  Json differences = Json::array();
  if (here && pair.remote) {
    for (const auto& one : core::cloudflare::differences(*pair.local, *pair.remote)) {
      differences.push_back({{"field", one.field}, {"local", one.local}, {"remote", one.remote}});
    }
  }
  entry["state"] = !pair.remote          ? "only_local"
                   : !here               ? "only_remote"
                   : differences.empty() ? "same"
                                         : "different";
  entry["differences"] = std::move(differences);
  return entry;
}

void show(Output& out, const Json& entry) {
  const std::string name = printable(entry["name"].get<std::string>());
  const std::string word = core::shell_word(name);
  const std::string state = entry["state"];
  if (state == "only_local") {
    out.print(out.styled(
        fmt::format("+ {}  only here: `hyperdrive push {}` creates it there", name, word),
        Style::kGreen));
  } else if (state == "only_remote") {
    out.print(out.styled(fmt::format("- {}  only at Cloudflare: `hyperdrive pull {}` creates it "
                                     "here",
                                     name, word),
                         Style::kRed));
  } else if (state == "same") {
    out.say(fmt::format("  {}  the same", name));
  } else {
    out.print(out.styled(fmt::format("~ {}", name), Style::kYellow));
    for (const Json& one : entry["differences"]) {
      out.print(fmt::format("    {}: {} here, {} there", one["field"].get<std::string>(),
                            printable(one["local"].get<std::string>()),
                            printable(one["remote"].get<std::string>())));
    }
  }
}

Outcome diff(Context& context) {
  auto client = cloudflare_client(context);
  if (!client) return tl::unexpected(client.error());
  auto pairs = [&] {
    const Progress progress(context.out(), "Asking Cloudflare");
    return pairs_of(context, *client);
  }();
  if (!pairs) return tl::unexpected(pairs.error());
  Json all = Json::array();
  bool differs = false;
  for (const Pair& pair : *pairs) {
    all.push_back(entry_of(pair));
    differs |= all.back()["state"] != "same";
    show(context.out(), all.back());
  }
  if (pairs->empty()) context.out().note("There is no config, neither here nor at Cloudflare.");
  context.out().document_if_json(all);
  return differs && context.args().on("exit-code") ? static_cast<int>(core::Exit::kWouldChange) : 0;
}

}  // namespace

const Command kDiff{
    .path = "diff",
    .summary = "Show how the configs here and those at Cloudflare differ",
    .details = "Passwords are never given out by Cloudflare and so cannot be compared.",
    .positionals = kPositionals,
    .flags = kFlags,
    .examples = kExamples,
    .run = diff,
};

}  // namespace hyperdrive::cli
