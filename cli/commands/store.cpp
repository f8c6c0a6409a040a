#include "cli/commands/store.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "cli/certificate_file.hpp"
#include "cli/live.hpp"
#include "cli/verification.hpp"
#include "core/config/validate.hpp"

namespace hyperdrive::cli {
namespace {

core::Result<void> check(Context& context, const core::Config& config) {
  auto warnings = core::validate(config);
  if (!warnings) return tl::unexpected(warnings.error());
  for (const std::string& warning : *warnings) context.out().warn(warning);
  return {};
}

/// `sslrootcert=FILE` of the connection string: the file becomes a CA certificate of the registry.
core::Result<void> adopt_root_certificate(Context& context, const ConfigEdit& edit,
                                          core::Config& config) {
  if (!edit.root_certificate) return {};
  auto id = ca_certificate_of_file(context, *edit.root_certificate);
  if (!id) return tl::unexpected(id.error());
  config.tls.ca_certificate_id = *id;
  return {};
}

core::Result<void> refuse_taken_name(core::Registry& registry, const std::string& name) {
  auto holder = registry.look_up(name);
  if (!holder) return tl::unexpected(holder.error());
  if (!*holder || (*holder)->name != name) return {};
  return core::fail(fmt::format("A Hyperdrive config with the name '{}' already exists.", name),
                    "Choose another name, `hyperdrive update` that one, or say --if-not-exists or "
                    "--upsert.",
                    core::code::kNameTaken);
}

/// A key that is gone is made anew with the next secret; what was sealed with the old one is lost
/// unless somebody puts that back, and then the new one's is.
core::Result<void> warn_of_new_key(Context& context, core::Registry& registry) {
  const core::Home& home = registry.home();
  if (environment_variable("HYPERDRIVE_KEY") || std::filesystem::exists(home.key())) return {};
  auto configs = registry.count();
  if (!configs) return tl::unexpected(configs.error());
  if (*configs == 0) return {};
  context.out().warn(fmt::format(
      "The sealing key {} is missing: a new one is made. The passwords stored before do not open "
      "with it; `hyperdrive doctor` names them. To use the old key, put it back first.",
      home.key().string()));
  return {};
}

}  // namespace

core::Result<core::Config> store_new(Context& context, const std::string& name,
                                     const ConfigEdit& edit) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  core::Config config;
  config.name = name;
  if (auto fine = core::validate_name(name); !fine) return tl::unexpected(fine.error());
  // Asked before the verification, which takes time; the registry asks again when it stores.
  if (auto free = refuse_taken_name(**registry, name); !free) return tl::unexpected(free.error());
  if (auto done = edit.apply(config); !done) return tl::unexpected(done.error());
  if (auto fine = check(context, config); !fine) return tl::unexpected(fine.error());
  if (auto done = adopt_root_certificate(context, edit, config); !done) {
    return tl::unexpected(done.error());
  }
  if (auto fine = verify_unless_told_not_to(context, config); !fine) {
    return tl::unexpected(fine.error());
  }
  if (auto fine = warn_of_new_key(context, **registry); !fine) return tl::unexpected(fine.error());
  return (*registry)->create(std::move(config));
}

core::Result<core::Config> store_change(Context& context, const core::Config& present,
                                        const Change& change) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  const auto apply = [&](core::Config& config) -> core::Result<void> {
    if (change.name) config.name = *change.name;
    return change.edit.apply(config);
  };

  core::Config wanted = present;
  // A change that brings the whole secret along works even if the stored one cannot be opened.
  const bool brings_secret = change.edit.connection || change.edit.password;
  if (!brings_secret) {
    if (auto opened = (*registry)->unseal(wanted); !opened) return tl::unexpected(opened.error());
  }
  if (auto done = apply(wanted); !done) return tl::unexpected(done.error());
  if (auto fine = check(context, wanted); !fine) return tl::unexpected(fine.error());
  if (auto done = adopt_root_certificate(context, change.edit, wanted); !done) {
    return tl::unexpected(done.error());
  }
  // What following the origin's log needs is told before it is stored.
  const bool will_follow = wanted.local.invalidation == core::Invalidation::kReplication &&
                           present.local.invalidation != core::Invalidation::kReplication;
  if (change.edit.touches_origin() || will_follow) {
    if (auto fine = verify_unless_told_not_to(context, wanted); !fine) {
      return tl::unexpected(fine.error());
    }
  }
  auto stored = (*registry)->update(present.id, [&](core::Config& config) -> core::Result<void> {
    if (auto done = apply(config); !done) return done;
    if (change.edit.root_certificate) {
      config.tls.ca_certificate_id = wanted.tls.ca_certificate_id;
    }
    auto warnings = core::validate(config);
    return warnings ? core::Result<void>{} : tl::unexpected(warnings.error());
  });
  if (!stored) return stored;
  if (auto told = tell_running_proxy(context, *stored, change.edit); !told) {
    return tl::unexpected(told.error());
  }
  return stored;
}

}  // namespace hyperdrive::cli
