// `hyperdrive doctor`: the installation, the state folder, the registry, the proxies, the ports,
// and with a config its origin. Looks only; what it would change it names.
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/live.hpp"
#include "cli/origin_checks.hpp"
#include "cli/output/report.hpp"
#include "cli/version.hpp"
#include "cli/wrangler_file.hpp"
#include "core/config/suggest.hpp"
#include "core/process/ports.hpp"
#include "core/process/proxy.hpp"
#include "core/secrets/seal.hpp"

namespace hyperdrive::cli {
namespace {
using nlohmann::ordered_json;
using Findings = std::vector<Finding>;

constexpr std::size_t kMostSeals = 50;

constexpr Positional kPositionals[] = {{.name = "config",
                                        .help = "Also check the origin of this config",
                                        .required = false,
                                        .offer = Offer::kConfigs}};

constexpr Example kExamples[] = {
    {"hyperdrive doctor", "is everything in order here?"},
    {"hyperdrive doctor prod-db", "and with the database of a config?"},
};

void check_program(Findings& findings) {
  findings.push_back({"ok", "program", fmt::format("hyperdrive {}", kVersion), "", 0});
  auto proxy = core::proxy_program();
  if (proxy) {
    findings.push_back({"ok", "proxy", *proxy, "", 0});
  } else {
    findings.push_back({"failed", "proxy", proxy.error().message, proxy.error().hint, 0});
  }
}

/// Too little room for a change in the registry and the files of a proxy.
bool disk_full(const std::string& folder) {
  struct statvfs disk {};
  constexpr unsigned long kNeeded = 64 << 10;
  return ::statvfs(folder.c_str(), &disk) == 0 && disk.f_bavail * disk.f_frsize < kNeeded;
}

/// The state folder: room for changes, and a mode by which nobody else may read it.
void check_folder(const core::Home& home, Findings& findings) {
  struct stat info {};
  const std::string folder = home.folder.string();
  if (::stat(folder.c_str(), &info) != 0) {
    findings.push_back(
        {"ok", "state", fmt::format("{} (made at the first create)", folder), "", 0});
    return;
  }
  if (::access(folder.c_str(), W_OK) != 0) {
    findings.push_back({"failed", "state", fmt::format("{} cannot be written", folder),
                        "Set HYPERDRIVE_HOME to a folder of yours, or mend its owner.", 0});
    return;
  }
  if (disk_full(folder)) {
    findings.push_back({"failed", "state", fmt::format("the disk with {} is full", folder),
                        "Free some space: until then nothing can be changed or started.", 0});
    return;
  }
  if ((info.st_mode & 077) != 0) {
    findings.push_back({"warning", "state", fmt::format("others may look into {}", folder),
                        fmt::format("chmod 700 '{}'", folder), 0});
    return;
  }
  findings.push_back({"ok", "state", folder, "", 0});
}

/// False: there is one, but nothing can be opened with it.
bool check_key(const core::Home& home, std::size_t configs, Findings& findings) {
  const bool given = environment_variable("HYPERDRIVE_KEY").has_value();
  if (given || ::access(home.key().c_str(), F_OK) == 0) {
    if (auto key = core::Sealer::open(home); !key) {
      findings.push_back({"failed", "key", key.error().message, key.error().hint, 0});
      return false;
    }
  }
  if (given) {
    findings.push_back({"ok", "key", "from HYPERDRIVE_KEY", "", 0});
    return true;
  }
  struct stat info {};
  if (::stat(home.key().c_str(), &info) != 0) {
    const bool needed = configs > 0;
    findings.push_back({needed ? "failed" : "ok", "key",
                        needed ? "missing: the stored passwords cannot be opened" : "not made yet",
                        "Put the file back from a backup, or supply each password anew: hyperdrive "
                        "update <config> --origin-password-file FILE",
                        0});
  } else if ((info.st_mode & 077) != 0) {
    findings.push_back({"warning", "key", "others may read the sealing key",
                        fmt::format("chmod 600 '{}'", home.key().string()), 0});
  } else {
    findings.push_back({"ok", "key", home.key().string(), "", 0});
  }
  return true;
}

/// Can the stored passwords be opened? One finding, with the names of those that cannot. Of very
/// many, some are tried: a wrong key shows at the first.
void check_seals(core::Registry& registry, std::size_t configs, Findings& findings) {
  auto ids = registry.sample(kMostSeals);
  if (!ids) return;  // the registry's own finding tells
  std::string broken;
  std::string why;
  for (const std::string& id : *ids) {
    auto config = registry.find(id);
    const auto opened = config ? registry.unseal(*config) : tl::unexpected(config.error());
    if (opened) continue;
    broken += (broken.empty() ? "" : ", ") + (config ? config->name : id);
    why = opened.error().message;
  }
  if (broken.empty()) {
    findings.push_back({"ok", "secrets",
                        fmt::format("{} of {} configs tried: they open", ids->size(), configs), "",
                        0});
    return;
  }
  findings.push_back({"failed", "secrets", fmt::format("{}: {}", broken, why),
                      "Supply the password anew: hyperdrive update <config> "
                      "--origin-password-file FILE",
                      0});
}

void check_registry(Context& context, Findings& findings) {
  auto registry = context.registry();
  if (!registry) {
    findings.push_back({"failed", "registry", registry.error().message, registry.error().hint, 0});
    return;
  }
  auto trouble = (*registry)->check_integrity();
  auto configs = (*registry)->count();
  if (!trouble || !configs) {
    const core::Error& error = trouble ? configs.error() : trouble.error();
    findings.push_back({"failed", "registry", error.message, error.hint, 0});
    return;
  }
  if (!trouble->empty()) {
    findings.push_back({"failed", "registry", *trouble,
                        "Restore registry.db from a backup; what can still be read: hyperdrive "
                        "export",
                        0});
  } else {
    findings.push_back({"ok", "registry", counted(*configs, "config", "configs"), "", 0});
  }
  const bool usable = check_key((*registry)->home(), *configs, findings);
  if (usable) check_seals(**registry, *configs, findings);
}

/// The next port that nobody listens on and no config has, or 0.
std::uint16_t port_to_offer(core::Registry& registry, std::uint16_t port) {
  for (;;) {
    const auto next = registry.local_port_above(port);
    if (!next || *next > 65535) return 0;
    port = static_cast<std::uint16_t>(*next);
    if (core::port_is_free(port)) return port;
  }
}

/// A stopped config's port that another program holds will make its `start` fail.
void check_ports(core::Registry& registry, const RunningProxies& running, Findings& findings) {
  std::map<std::uint16_t, std::string> in_the_way;
  std::set<std::uint16_t> ports;
  for (const std::uint16_t port : core::listening_ports()) {
    auto config = registry.on_local_port(port);
    if (!config || !*config || running.contains((*config)->id)) continue;
    in_the_way.emplace(port, (*config)->name);
    ports.insert(port);
  }
  std::uint16_t free = 0;
  for (const auto& [port, holder] : core::port_holders(ports)) {
    const std::string& name = in_the_way[port];
    free = port_to_offer(registry, std::max(free, port));
    findings.push_back(
        {"warning", "port", fmt::format("{}: {}", name, core::describe_port(port, holder)),
         fmt::format("hyperdrive update {} --local-port {}", core::shell_word(name), free), 0});
  }
}

void check_proxies(Context& context, Findings& findings) {
  auto registry = context.registry();
  if (!registry) return;
  const core::Home& home = (*registry)->home();
  const RunningProxies running = running_proxies(home);
  findings.push_back({"ok", "proxies", fmt::format("{} running", running.size()), "", 0});
  for (const std::string& id : proxies_with_state(home)) {
    const auto state = core::proxy_state(home, id);
    if (!state || !state->crashed) continue;
    auto config = (*registry)->look_up(id);
    if (config && *config) {
      const std::string word = core::shell_word(**config);
      findings.push_back(
          {"warning", "proxies", fmt::format("the proxy of {} ended unexpectedly", (*config)->name),
           fmt::format("Its last words: hyperdrive logs {0}. Start it again, hyperdrive start "
                       "{0}, or have it forgotten: hyperdrive stop {0}",
                       word),
           0});
    } else {
      // Of a `dev`, whose origin was temporary: no command could name it.
      core::forget_proxy(home, id);
    }
  }
  check_ports(**registry, running, findings);
}

void check_wrangler_file(Context& context, Findings& findings) {
  auto file = read_wrangler_file(context);
  if (!file) {
    findings.push_back({"failed", "wrangler", file.error().message, file.error().hint, 0});
  } else if (*file) {
    findings.push_back({"ok", "wrangler",
                        fmt::format("{}, {}", display_path((*file)->path),
                                    counted((*file)->reading.bindings.size(), "Hyperdrive binding",
                                            "Hyperdrive bindings")),
                        "", 0});
  }
}

ordered_json json_of(const Findings& findings) {
  ordered_json array = ordered_json::array();
  for (const Finding& finding : findings) {
    array.push_back({{"status", finding.status},
                     {"subject", finding.subject},
                     {"message", finding.message},
                     {"hint", finding.status == "ok" ? "" : finding.hint},
                     {"code", finding.code}});
  }
  return array;
}

Outcome doctor(Context& context) {
  Findings findings;
  check_program(findings);
  auto home = context.home();
  if (!home) return tl::unexpected(home.error());
  check_folder(*home, findings);
  check_registry(context, findings);
  check_proxies(context, findings);
  check_wrangler_file(context, findings);
  if (const auto which = context.args().positional(0); !which.empty()) {
    auto checks = check_origin(context, which);
    if (!checks) return tl::unexpected(checks.error());
    findings.insert(findings.end(), checks->begin(), checks->end());
  }
  bool failed = false;
  for (const Finding& finding : findings) {
    failed = failed || finding.status == "failed";
    print_finding(context.out(), finding);
  }
  context.out().document_if_json({{"ok", !failed}, {"checks", json_of(findings)}});
  return failed ? static_cast<int>(core::Exit::kError) : 0;
}

}  // namespace

const Command kDoctor{
    .path = "doctor",
    .summary = "Check the installation, the state folder, the ports, and an origin",
    .positionals = kPositionals,
    .examples = kExamples,
    .run = doctor,
};

}  // namespace hyperdrive::cli
