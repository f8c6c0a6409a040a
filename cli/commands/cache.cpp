// `hyperdrive cache purge` and `cache explain`.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/live.hpp"
#include "core/process/admin_client.hpp"

namespace hyperdrive::cli {
namespace {
using nlohmann::ordered_json;

constexpr Positional kPurgePositionals[] = {
    {.name = "config", .help = "Name or id of the Hyperdrive config", .offer = Offer::kConfigs}};

constexpr Flag kPurgeFlags[] = {
    {.name = "table",
     .help = "Only answers that depend on this table (`products`, `shop.products`)"},
    {.name = "tag", .help = "Only answers whose statement says `/* hyperdrive: tag=… */`"},
    {.name = "query", .help = "Only answers to this statement"},
};

constexpr Example kPurgeExamples[] = {
    {"hyperdrive cache purge prod-db", "everything"},
    {"hyperdrive cache purge prod-db --table products", "after a load that the proxy did not see"},
};

constexpr Positional kExplainPositionals[] = {
    {.name = "config", .help = "Name or id of the Hyperdrive config", .offer = Offer::kConfigs},
    {.name = "sql", .help = "The statement, quoted"}};

constexpr Example kExplainExamples[] = {
    {"hyperdrive cache explain prod-db \"SELECT now()\"", "volatile, and why"},
};

core::Result<ordered_json> ask(Context& context, const std::string& path,
                               const ordered_json& question) {
  auto registry = context.registry();
  if (!registry) return tl::unexpected(registry.error());
  auto config = (*registry)->find(context.args().positional(0));
  if (!config) return tl::unexpected(config.error());
  auto state = need_running_proxy(context, *config);
  if (!state) return tl::unexpected(state.error());
  core::AdminClient proxy(state->admin_socket);
  auto body = proxy.post_body(path, question.dump());
  if (!body) return tl::unexpected(body.error());
  auto answer = ordered_json::parse(*body, nullptr, false);
  if (!answer.is_object()) return core::fail("The proxy's answer is not the JSON it should be.");
  return answer;
}

Outcome purge(Context& context) {
  ordered_json question;
  for (const char* what : {"table", "tag", "query"}) {
    const auto name = context.args().text(what);
    if (!name) continue;
    if (!question.empty()) {
      return core::usage(
          fmt::format("Arguments {} and {} are mutually exclusive", question.begin().key(), what),
          "Leave one of them out.");
    }
    question[what] = *name;
  }
  if (question.empty()) question["all"] = true;
  auto answer = ask(context, "/v1/purge", question);
  if (!answer) return tl::unexpected(answer.error());
  Output& out = context.out();
  out.document_if_json(*answer);
  const auto purged = answer->value("purged", std::int64_t{0});
  out.say(fmt::format("✅ Purged {}", counted(purged, "answer", "answers")));
  const std::string warning = answer->value("warning", "");
  if (!warning.empty()) out.warn(printable(warning));
  return 0;
}

std::string joined(const ordered_json& names) {
  std::string text;
  for (const auto& name : names) {
    if (name.is_string()) text += (text.empty() ? "" : ", ") + printable(name.get<std::string>());
  }
  return text;
}

Outcome explain(Context& context) {
  const std::string sql(context.args().positional(1));
  auto answer = ask(context, "/v1/explain", {{"sql", sql}});
  if (!answer) return tl::unexpected(answer.error());
  Output& out = context.out();
  out.document_if_json(*answer);
  const bool cacheable = answer->value("cacheable", false);
  out.print(cacheable ? "It would be cached."
                      : fmt::format("It would not be cached ({}): {}.", answer->value("status", ""),
                                    printable(answer->value("reason", "no reason given"))));
  const std::string tables = joined(answer->value("tables", ordered_json::array()));
  const std::string functions = joined(answer->value("functions", ordered_json::array()));
  if (!tables.empty()) out.print(fmt::format("  depends on the tables  {}", tables));
  if (!functions.empty()) out.print(fmt::format("  calls the functions    {}", functions));
  const std::string invalid = joined(answer->value("invalid_hints", ordered_json::array()));
  if (!invalid.empty()) out.print(fmt::format("  ignores the hints      {}", invalid));
  const auto production = answer->value("production", ordered_json::object());
  if (production.value("differs", false)) {
    out.print(fmt::format("  Cloudflare's cache {}", printable(production.value("reason", ""))));
  }
  return 0;
}

}  // namespace

const Command kCachePurge{
    .path = "cache purge",
    .summary = "Drop cached answers",
    .positionals = kPurgePositionals,
    .flags = kPurgeFlags,
    .examples = kPurgeExamples,
    .run = purge,
};

const Command kCacheExplain{
    .path = "cache explain",
    .summary = "Tell whether a query would be cached, and why not",
    .positionals = kExplainPositionals,
    .examples = kExplainExamples,
    .run = explain,
};

}  // namespace hyperdrive::cli
