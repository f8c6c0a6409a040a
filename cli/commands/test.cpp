// `hyperdrive test`: the verification of `create`, step by step, with timings and remedies.
#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/origin_checks.hpp"
#include "cli/output/report.hpp"
#include "cli/verification.hpp"
#include "core/config/validate.hpp"

namespace hyperdrive::cli {
namespace {

constexpr Positional kPositionals[] = {
    {.name = "config", .help = "Name or id of the Hyperdrive config", .offer = Offer::kConfigs}};

constexpr Example kExamples[] = {
    {"hyperdrive test prod-db", "DNS, TCP, TLS, login, database, query"},
    {"hyperdrive test prod-db --json", "for monitoring"},
};

Outcome test(Context& context) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  auto config = (*registry)->find(context.args().positional(0));
  if (!config) return tl::unexpected(config.error());
  if (const std::string why = core::only_from_cloudflare(config->origin); !why.empty()) {
    return core::fail(why);
  }
  if (auto opened = (*registry)->unseal(*config); !opened) return tl::unexpected(opened.error());
  auto report = verification_report(context, *config);
  if (!report) return tl::unexpected(report.error());

  Output& out = context.out();
  out.document_if_json(*report);
  for (const Finding& finding : findings_of(*config, *report)) print_finding(out, finding);
  if (!report->value("ok", false)) return static_cast<int>(core::Exit::kError);
  return 0;
}

}  // namespace

const Command kTest{
    .path = "test",
    .summary = "Verify a config's origin step by step",
    .positionals = kPositionals,
    .examples = kExamples,
    .run = test,
};

}  // namespace hyperdrive::cli
