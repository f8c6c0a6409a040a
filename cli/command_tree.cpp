#include "cli/command_tree.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "cli/commands/all.hpp"
#include "cli/origin_flags.hpp"
#include "core/config/settings.hpp"

namespace hyperdrive::cli {
namespace {

constexpr std::array kCommands = {
    &kCreate,
    &kList,
    &kGet,
    &kUpdate,
    &kDelete,
    &kBind,
    &kUnbind,
    &kBindings,
    &kDev,
    &kStart,
    &kStop,
    &kRestart,
    &kStatus,
    &kLogs,
    &kUrl,
    &kEnv,
    &kStats,
    &kTop,
    &kCachePurge,
    &kCacheExplain,
    &kTest,
    &kDoctor,
    &kPush,
    &kPull,
    &kDiff,
    &kApi,
    &kCertUploadCertificateAuthority,
    &kCertUploadMtlsCertificate,
    &kCertList,
    &kCertDelete,
    &kApply,
    &kExport,
    &kInit,
    &kTemplates,
    &kCompletions,
    &kComplete,
    &kDocs,
};

constexpr std::pair<std::string_view, std::string_view> kGroups[] = {
    {"cache", "Purge the cache, ask why a query is (not) cached"},
    {"cert", "Manage CA certificates and client certificates"},
    {"cert upload", "Upload a certificate"},
};

constexpr std::string_view kGlobal = "GLOBAL FLAGS";

constexpr Flag kGlobalFlags[] = {
    {.name = "config",
     .aliases = "c",
     .help = "Path to the wrangler file",
     .group = kGlobal,
     .offer = Offer::kFiles},
    {.name = "cwd",
     .help = "Run as if started in this folder",
     .group = kGlobal,
     .offer = Offer::kFolders},
    {.name = "env",
     .aliases = "e",
     .help = "Environment of the wrangler file to use",
     .group = kGlobal},
    {.name = "env-file",
     .kind = FlagKind::kList,
     .help = "An .env file to load instead of .env here; later ones win",
     .group = kGlobal,
     .offer = Offer::kFiles},
    {.name = "json",
     .kind = FlagKind::kBoolean,
     .help = "Print one JSON document; errors too, on standard error",
     .group = kGlobal},
    {.name = "quiet",
     .aliases = "q",
     .kind = FlagKind::kBoolean,
     .help = "Print results only",
     .group = kGlobal},
    {.name = "yes",
     .aliases = "y",
     .kind = FlagKind::kBoolean,
     .help = "Ask nothing",
     .group = kGlobal},
    {.name = "color",
     .kind = FlagKind::kBoolean,
     .help = "Print without colours, as with NO_COLOR and into pipes",
     .group = kGlobal,
     .on = true},
    {.name = "help",
     .aliases = "h",
     .kind = FlagKind::kBoolean,
     .help = "Show help",
     .group = kGlobal},
    {.name = "version",
     .aliases = "v",
     .kind = FlagKind::kBoolean,
     .help = "Show version number",
     .group = kGlobal},
    // wrangler's own; they mean nothing here, but scripts may pass them.
    {.name = "install-skills", .kind = FlagKind::kBoolean, .group = kGlobal, .hidden = true},
    {.name = "profile", .group = kGlobal, .hidden = true},
};

Flag flag_of(const core::Setting& setting) {
  Flag flag{.name = setting.flag, .help = setting.help, .group = "Of the local proxy"};
  switch (setting.kind) {
    case core::SettingKind::kBoolean:
      flag.kind = FlagKind::kBoolean;
      break;
    case core::SettingKind::kInteger:
    case core::SettingKind::kNumber:
      flag.kind = FlagKind::kNumber;
      break;
    case core::SettingKind::kList:
      flag.kind = FlagKind::kList;
      break;
    case core::SettingKind::kChoice:
      flag.choices = setting.range;
      flag.offer = Offer::kChoices;
      break;
    case core::SettingKind::kPath:
      flag.offer = Offer::kFiles;
      break;
    case core::SettingKind::kSecretUrl:
      flag.secret = true;
      break;
    default:
      break;
  }
  return flag;
}

void append(std::vector<Flag>& flags, std::span<const Flag> more) {
  flags.insert(flags.end(), more.begin(), more.end());
}

}  // namespace

std::span<const Command* const> commands() { return kCommands; }

const Command* find_command(std::string_view path) {
  for (const Command* command : kCommands) {
    if (command->path == path) return command;
  }
  return nullptr;
}

std::vector<const Command*> commands_below(std::string_view group) {
  std::vector<const Command*> below;
  for (const Command* command : kCommands) {
    if (command->path.size() > group.size() && command->path.starts_with(group) &&
        command->path[group.size()] == ' ') {
      below.push_back(command);
    }
  }
  return below;
}

std::string_view group_summary(std::string_view group) {
  for (const auto& [name, summary] : kGroups) {
    if (name == group) return summary;
  }
  return {};
}

std::span<const Flag> global_flags() { return kGlobalFlags; }

std::vector<Flag> all_flags(const Command& command) {
  std::vector<Flag> flags;
  if (command.origin) append(flags, origin_flags());
  append(flags, command.flags);
  if (command.settings) {
    for (const core::Setting& setting : core::settings()) flags.push_back(flag_of(setting));
  }
  append(flags, global_flags());
  return flags;
}

}  // namespace hyperdrive::cli
