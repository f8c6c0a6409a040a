// `hyperdrive apply`: makes the registry what a file declares, in one transaction.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/live.hpp"
#include "cli/verification.hpp"
#include "core/base/file.hpp"
#include "core/config/connection_string.hpp"
#include "core/config/declaration.hpp"
#include "core/config/settings.hpp"
#include "core/config/suggest.hpp"

namespace hyperdrive::cli {
namespace {
using nlohmann::ordered_json;

constexpr std::size_t kMostBytes = 16u << 20;

constexpr Flag kFlags[] = {
    {.name = "file",
     .aliases = "f",
     .help = "The TOML or JSON file that declares the configs; - is standard input",
     .offer = Offer::kFiles},
    {.name = "dry-run",
     .kind = FlagKind::kBoolean,
     .help = "Print the plan and change nothing; exit code 2 when there is something to change"},
    {.name = "prune",
     .kind = FlagKind::kBoolean,
     .help = "Delete the configs that the file does not declare"},
    {.name = "verify",
     .kind = FlagKind::kBoolean,
     .help = "Store new and changed origins without connecting to them",
     .on = true},
};

constexpr Example kExamples[] = {
    {"hyperdrive export > hyperdrive.toml", "begin with what there is"},
    {"hyperdrive apply -f hyperdrive.toml --dry-run", "what would change? exit code 2: something"},
    {"hyperdrive apply -f hyperdrive.toml --prune", "make it so, and delete what is not declared"},
};

struct Input {
  std::string text;
  std::string folder;  ///< what `file:PATH` is relative to
  core::DeclarationFormat format;
};

core::Result<Input> read_input(Context& context) {
  const std::string path = context.args().text_or("file", "");
  if (path.empty()) {
    return core::usage("Which file?", "hyperdrive apply -f hyperdrive.toml");
  }
  if (path == "-") {
    const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    const bool json = first != std::string::npos && text[first] == '{';
    return Input{text, std::filesystem::current_path().string(),
                 json ? core::DeclarationFormat::kJson : core::DeclarationFormat::kToml};
  }
  auto text = core::read_file(path, kMostBytes);
  if (!text) return tl::unexpected(text.error());
  return Input{std::move(*text), std::filesystem::absolute(path).parent_path().string(),
               core::declaration_format(path)};
}

/// Files of settings are relative to the declaring file, as those of secrets are.
void make_paths_whole(const std::string& folder, std::vector<core::Declared>& declared) {
  for (core::Declared& wanted : declared) {
    core::LocalSettings& local = wanted.config.local;
    for (std::string* path : {&local.tls_cert_file, &local.tls_key_file}) {
      if (path->empty()) continue;
      *path = (std::filesystem::path(folder) / *path).lexically_normal().string();
    }
  }
}

/// A certificate may be declared by its name; the registry keeps ids.
core::Result<void> name_certificates_by_id(core::Registry& registry,
                                           std::vector<core::Declared>& declared) {
  for (core::Declared& wanted : declared) {
    core::Tls& tls = wanted.config.tls;
    for (std::string* id : {&tls.ca_certificate_id, &tls.mtls_certificate_id}) {
      if (id->empty()) continue;
      auto certificate = registry.find_certificate(*id);
      if (!certificate) return tl::unexpected(certificate.error());
      *id = certificate->id;
    }
  }
  return {};
}

/// The declared ones that are there already.
core::Result<std::vector<core::Config>> present_of(core::Registry& registry,
                                                   const std::vector<core::Declared>& declared) {
  std::vector<core::Config> configs;
  for (const core::Declared& one : declared) {
    auto config = registry.look_up(one.config.name);
    if (!config) return tl::unexpected(config.error());
    // A name may look like another config's id.
    if (*config && (*config)->name == one.config.name) configs.push_back(std::move(**config));
  }
  return configs;
}

/// What is stored, with the secrets of the declared ones. The undeclared ones of a large registry
/// are only read when they are to be deleted.
core::Result<std::vector<core::Config>> present_configs(core::Registry& registry,
                                                        const std::vector<core::Declared>& declared,
                                                        bool prune) {
  auto configs = prune ? registry.list() : present_of(registry, declared);
  if (!configs) return configs;
  std::map<std::string_view, const core::Declared*> wanted;
  for (const core::Declared& one : declared) wanted[one.config.name] = &one;
  for (core::Config& config : *configs) {
    const auto found = wanted.find(config.name);
    if (found == wanted.end()) continue;
    core::Config opened = config;
    const auto unsealed = registry.unseal(opened);
    if (unsealed) {
      config = std::move(opened);
    } else if (found->second->config.origin.password.empty()) {
      return tl::unexpected(unsealed.error());
    }
  }
  return configs;
}

core::Result<core::Plan> plan_now(core::Registry& registry, std::vector<core::Declared>& declared,
                                  bool prune) {
  if (auto named = name_certificates_by_id(registry, declared); !named) {
    return tl::unexpected(named.error());
  }
  auto present = present_configs(registry, declared, prune);
  if (!present) return tl::unexpected(present.error());
  return core::make_plan(declared, *present);
}

/// How many configs are stored that the file does not name and that stay.
core::Result<std::size_t> left_alone(core::Registry& registry, const core::Plan& plan) {
  auto stored = registry.count();
  if (!stored) return stored;
  const auto declared = std::count_if(plan.steps.begin(), plan.steps.end(), [](const auto& step) {
    return step.action != core::PlannedAction::kCreate;
  });
  const std::size_t known = static_cast<std::size_t>(declared) + plan.undeclared.size();
  return *stored - std::min(*stored, known);
}

core::Result<void> refuse_running(const core::Home& home, const std::vector<core::Config>& doomed) {
  if (doomed.empty()) return {};
  const RunningProxies running = running_proxies(home);
  for (const core::Config& config : doomed) {
    if (!running.count(config.id)) continue;
    return core::fail(fmt::format("'{}' is to be deleted, but its proxy is running.", config.name),
                      fmt::format("Nothing was changed. Stop it first: hyperdrive stop {}",
                                  core::shell_word(config)));
  }
  return {};
}

core::Result<void> carry_out(core::Registry& registry, core::Plan& plan) {
  for (core::PlannedStep& step : plan.steps) {
    if (step.action == core::PlannedAction::kKeep) continue;
    auto stored =
        step.action == core::PlannedAction::kCreate
            ? registry.create(step.config)
            : registry.update(step.config.id, [&](core::Config& config) -> core::Result<void> {
                config = step.config;
                return {};
              });
    if (!stored) return tl::unexpected(stored.error());
    step.config = std::move(*stored);
  }
  for (const core::Config& config : plan.undeclared) {
    if (auto gone = registry.remove(config.id); !gone) return tl::unexpected(gone.error());
  }
  return {};
}

// --- the origins
// ----------------------------------------------------------------------------------

bool touches_origin(const core::PlannedStep& step) {
  if (step.action != core::PlannedAction::kUpdate) {
    return step.action == core::PlannedAction::kCreate;
  }
  return std::any_of(step.differences.begin(), step.differences.end(), [](const auto& difference) {
    return difference.field.starts_with("origin.") || difference.field.starts_with("mtls.");
  });
}

/// The origins that were connected to, by the config's name.
using Verified = std::map<std::string, core::Config, std::less<>>;

bool is_verified(const Verified& verified, const core::PlannedStep& step) {
  const auto found = verified.find(step.config.name);
  return found != verified.end() && core::differences_between(found->second, step.config).empty();
}

bool all_verified(const Verified& verified, const core::Plan& plan) {
  return std::all_of(plan.steps.begin(), plan.steps.end(), [&](const core::PlannedStep& step) {
    return !touches_origin(step) || is_verified(verified, step);
  });
}

/// Connects to every new or changed origin that was not tried yet. One error tells of all that
/// failed; the code is the first one's.
core::Result<void> verify_origins(Context& context, const core::Plan& plan, Verified& verified) {
  std::optional<core::Error> first;
  std::string others;
  for (const core::PlannedStep& step : plan.steps) {
    if (!touches_origin(step) || is_verified(verified, step)) continue;
    if (auto fine = verify_unless_told_not_to(context, step.config); fine) {
      verified[step.config.name] = step.config;
    } else if (!first) {
      first = fine.error();
      first->message = fmt::format("{}: {}", printable(step.config.name), first->message);
    } else {
      others += fmt::format("\n{}: {}", printable(step.config.name), fine.error().message);
    }
  }
  if (!first) return {};
  first->hint += others;
  return tl::unexpected(std::move(*first));
}

// --- the plan in words
// ----------------------------------------------------------------------------

bool changes_something(const core::Plan& plan) {
  for (const core::PlannedStep& step : plan.steps) {
    if (step.action != core::PlannedAction::kKeep) return true;
  }
  return !plan.undeclared.empty();
}

std::string or_default(const std::string& text) { return text.empty() ? "(default)" : text; }

void say_plan(Output& out, const core::Plan& plan, std::size_t others) {
  int counts[3] = {};
  for (const core::PlannedStep& step : plan.steps) {
    const std::string name = printable(step.config.name);
    ++counts[static_cast<int>(step.action)];
    if (step.action == core::PlannedAction::kCreate) {
      out.say(out.styled(fmt::format("+ create {}", name), Style::kGreen));
    }
    if (step.action != core::PlannedAction::kUpdate) continue;
    out.say(out.styled(fmt::format("~ change {}", name), Style::kYellow));
    for (const core::Difference& difference : step.differences) {
      out.say(fmt::format("    {}: {} → {}", difference.field,
                          printable(or_default(difference.before)),
                          printable(or_default(difference.after))));
    }
  }
  for (const core::Config& config : plan.undeclared) {
    out.say(out.styled(fmt::format("- delete {}", printable(config.name)), Style::kRed));
  }
  out.say(fmt::format("{} to create, {} to change, {} to delete, {} as declared.",
                      counts[static_cast<int>(core::PlannedAction::kCreate)],
                      counts[static_cast<int>(core::PlannedAction::kUpdate)],
                      plan.undeclared.size(),
                      counts[static_cast<int>(core::PlannedAction::kKeep)]));
  if (others > 0) {
    out.say(fmt::format("{} more {} not in the file; --prune deletes {}.", others,
                        others == 1 ? "is" : "are", others == 1 ? "it" : "them"));
  }
}

ordered_json plan_json(const core::Plan& plan, std::size_t others) {
  ordered_json json = {{"changes", changes_something(plan)},
                       {"create", ordered_json::array()},
                       {"update", ordered_json::array()},
                       {"delete", ordered_json::array()},
                       {"keep", ordered_json::array()}};
  for (const core::PlannedStep& step : plan.steps) {
    if (step.action == core::PlannedAction::kCreate) json["create"].push_back(step.config.name);
    if (step.action == core::PlannedAction::kKeep) json["keep"].push_back(step.config.name);
    if (step.action != core::PlannedAction::kUpdate) continue;
    ordered_json differences = ordered_json::array();
    for (const core::Difference& difference : step.differences) {
      differences.push_back({{"field", difference.field},
                             {"before", difference.before},
                             {"after", difference.after}});
    }
    json["update"].push_back({{"name", step.config.name}, {"differences", differences}});
  }
  for (const core::Config& config : plan.undeclared) json["delete"].push_back(config.name);
  json["not_declared"] = others;
  return json;
}

/// The settings that changed, so that the note says which of them wait for a restart.
ConfigEdit edit_of(const core::PlannedStep& step) {
  constexpr std::string_view kLocal = "local.";
  ConfigEdit edit;
  for (const core::Difference& difference : step.differences) {
    if (!difference.field.starts_with(kLocal)) continue;
    if (const auto* setting = core::find_setting(difference.field.substr(kLocal.size()))) {
      edit.settings.emplace_back(setting, difference.after);
    }
  }
  return edit;
}

core::Result<void> tell_proxies(Context& context, const core::Plan& plan) {
  for (const core::PlannedStep& step : plan.steps) {
    if (step.action != core::PlannedAction::kUpdate) continue;
    if (auto told = tell_running_proxy(context, step.config, edit_of(step)); !told) return told;
  }
  return {};
}

Outcome apply(Context& context) {
  auto input = read_input(context);
  if (!input) return tl::unexpected(input.error());
  // What was written to a full disk, or is not there behind a pipe, is no wish to have no configs.
  if (input->text.find_first_not_of(" \t\r\n") == std::string::npos) {
    return core::usage("The file is empty.", "One that declares no config says: version = 1");
  }
  auto declared =
      core::read_declarations(input->text, input->format, [&](std::string_view reference) {
        return core::resolve_secret_reference(reference, input->folder);
      });
  if (!declared) return tl::unexpected(declared.error());
  make_paths_whole(input->folder, *declared);
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());

  core::Plan plan;
  std::size_t others = 0;
  const auto make = [&]() -> core::Result<void> {
    auto made = plan_now(**registry, *declared, context.args().on("prune"));
    if (!made) return tl::unexpected(made.error());
    plan = std::move(*made);
    auto left = left_alone(**registry, plan);
    if (!left) return tl::unexpected(left.error());
    others = *left;
    return {};
  };
  const auto may_be_done = [&] { return refuse_running((*registry)->home(), plan.undeclared); };
  if (context.args().on("dry-run")) {
    if (auto made = make(); !made) return tl::unexpected(made.error());
    say_plan(context.out(), plan, others);
    context.out().document_if_json(plan_json(plan, others));
    if (auto fine = may_be_done(); !fine) {
      context.out().warn(fmt::format("{} apply will refuse that.", fine.error().message));
    }
    return static_cast<int>(changes_something(plan) ? core::Exit::kWouldChange : core::Exit::kDone);
  }
  // Connecting takes time, so it is done before the transaction. Planned anew inside of it: what
  // another process stores meanwhile is not overwritten, and an origin that comes to differ by that
  // is tried first.
  Verified verified;
  for (bool stored = false; !stored;) {
    if (auto made = make(); !made) return tl::unexpected(made.error());
    if (auto fine = may_be_done(); !fine) return tl::unexpected(fine.error());
    if (auto fine = verify_origins(context, plan, verified); !fine) {
      return tl::unexpected(fine.error());
    }
    auto done = (*registry)->atomically([&]() -> core::Result<void> {
      if (auto made = make(); !made) return made;
      if (auto fine = may_be_done(); !fine) return fine;
      stored = all_verified(verified, plan);
      return stored ? carry_out(**registry, plan) : core::Result<void>();
    });
    if (!done) return tl::unexpected(done.error());
  }
  say_plan(context.out(), plan, others);
  context.out().document_if_json(plan_json(plan, others));
  for (const core::Config& gone : plan.undeclared) {
    if (auto clean = core::forget_proxy((*registry)->home(), gone.id); !clean) {
      context.out().warn(clean.error().message);
    }
  }
  if (auto told = tell_proxies(context, plan); !told) return tl::unexpected(told.error());
  return 0;
}

}  // namespace

const Command kApply{
    .path = "apply",
    .summary = "Make the registry what a file declares",
    .details =
        "The file declares whole configs: what it leaves out has its default. Stored "
        "passwords that it does not mention stay, and so do local ports. Secrets are "
        "referred to, as \"env:NAME\" or \"file:PATH\". New and changed origins are connected to "
        "first. All changes are made, or none.",
    .flags = kFlags,
    .examples = kExamples,
    .run = apply,
};

}  // namespace hyperdrive::cli
