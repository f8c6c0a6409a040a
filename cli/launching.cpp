#include "cli/launching.hpp"

#include <fmt/format.h>

#include "cli/output/prompt.hpp"
#include "cli/secret_input.hpp"
#include "core/config/suggest.hpp"
#include "core/config/validate.hpp"

namespace hyperdrive::cli {
namespace {

core::Result<core::Secret> missing_password(Context& context, const core::Config& config) {
  auto given = password_input(context);
  if (!given) return tl::unexpected(given.error());
  if (*given) return std::move(**given);
  if (!context.may_ask()) {
    return core::fail(
        fmt::format("The password of the origin of '{}' is not known here.", config.name),
        fmt::format("Cloudflare never gives one back. Supply it: hyperdrive update {} "
                    "--origin-password-file FILE",
                    core::shell_word(config)));
  }
  return ask_secret(context.out(), fmt::format("Password of {} at {} (not shown)?",
                                               config.origin.user, config.origin.host));
}

}  // namespace

core::Result<core::Launch> launch_of(Context& context, const core::Config& config) {
  if (const std::string why = core::only_from_cloudflare(config.origin); !why.empty()) {
    return core::fail(fmt::format("'{}' cannot be used from here: {}", config.name, why),
                      "Give it an origin that this machine reaches, or make another config for "
                      "local work.");
  }
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  auto launch = (*registry)->launch(config.id);
  if (!launch || !launch->config.origin.password.empty()) return launch;

  auto password = missing_password(context, config);
  if (!password) return tl::unexpected(password.error());
  auto stored = (*registry)->update(config.id, [&](core::Config& row) -> core::Result<void> {
    row.origin.password = *password;
    return {};
  });
  if (!stored) return tl::unexpected(stored.error());
  return (*registry)->launch(config.id);
}

}  // namespace hyperdrive::cli
