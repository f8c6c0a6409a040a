#include "cli/verification.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/output/progress.hpp"
#include "core/config/validate.hpp"
#include "core/process/proxy.hpp"

namespace hyperdrive::cli {
using nlohmann::ordered_json;

core::Result<ordered_json> verification_report(Context& context, const core::Config& config) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  core::Launch launch{.config = config};
  auto certificates = (*registry)->certificates_of(config);
  if (!certificates) return tl::unexpected(certificates.error());
  launch.certificates = std::move(*certificates);
  const Progress progress(
      context.out(), fmt::format("Connecting to {}:{}", config.origin.host, config.origin.port));
  auto text = core::verify_origin(launch);
  if (!text) return tl::unexpected(text.error());
  ordered_json report = ordered_json::parse(*text, nullptr, false);
  if (!report.is_object() || !report.contains("ok")) {
    return core::fail("hyperdrive-proxy answered the verification with something unexpected.",
                      "Are hyperdrive and hyperdrive-proxy of the same version? `hyperdrive "
                      "doctor` tells.");
  }
  return report;
}

core::Result<void> verify_unless_told_not_to(Context& context, const core::Config& config) {
  if (const std::string why = core::only_from_cloudflare(config.origin); !why.empty()) {
    context.out().warn(why);
    return {};
  }
  if (!context.args().boolean("verify").value_or(true)) return {};
  auto report = verification_report(context, config);
  if (!report) return tl::unexpected(report.error());
  if (!report->value("ok", false)) {
    std::string hint = report->value("hint", "");
    if (!hint.empty()) hint += "\n";
    return core::fail(report->value("message", "The origin could not be verified."),
                      hint + "Nothing was stored. --no-verify skips this check.",
                      report->value("code", core::code::kOriginOther));
  }
  for (const auto& warning : report->value("warnings", ordered_json::array())) {
    if (warning.is_string()) context.out().warn(warning.get<std::string>());
  }
  return {};
}

}  // namespace hyperdrive::cli
