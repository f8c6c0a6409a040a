// `hyperdrive init <template> [dir]` and `hyperdrive templates`.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/output/table.hpp"
#include "cli/template_files.hpp"

namespace hyperdrive::cli {
namespace {

constexpr Positional kPositionals[] = {
    {.name = "template", .help = "One of `hyperdrive templates`", .offer = Offer::kTemplates},
    {.name = "dir",
     .help = "The folder to write it into (default: one of the template's name)",
     .required = false,
     .offer = Offer::kFolders}};

constexpr Example kInitExamples[] = {
    {"hyperdrive init pg my-worker", "then: cd my-worker && npm install"},
};
constexpr Example kTemplatesExamples[] = {{"hyperdrive templates", "names and what they are"}};

Outcome init(Context& context) {
  const std::string name(context.args().positional(0));
  const auto given = context.args().positional(1);
  const std::filesystem::path target = given.empty() ? name : std::string(given);
  auto written = copy_template(name, target);
  if (!written) return tl::unexpected(written.error());
  Output& out = context.out();
  out.document_if_json({{"template", name}, {"folder", target.string()}, {"files", *written}});
  out.say(fmt::format("✅ Wrote {} files into {}\n", written->size(), target.string()));
  const bool mysql = name.find("mysql") != std::string::npos;
  out.say(fmt::format(
      "Next, with the URL of your database in DATABASE_URL (README.md says more):\n"
      "  cd {}\n  npm install\n  {}\n"
      "  hyperdrive create my-db --connection-string-env DATABASE_URL --binding "
      "HYPERDRIVE\n  npm run dev",
      target.string(), mysql ? "mysql … < schema.sql" : "psql \"$DATABASE_URL\" -f schema.sql"));
  return 0;
}

Outcome templates(Context& context) {
  auto all = list_templates();
  if (!all) return tl::unexpected(all.error());
  auto array = nlohmann::ordered_json::array();
  Table table{"template", "what it is"};
  for (const Template& one : *all) {
    array.push_back({{"name", one.name}, {"summary", one.says}});
    table.add({one.name, one.says});
  }
  context.out().document_if_json(array);
  context.out().print(draw(table, context.out().width()));
  return 0;
}

}  // namespace

const Command kInit{
    .path = "init",
    .summary = "Write a Worker starter that runs at once",
    .positionals = kPositionals,
    .examples = kInitExamples,
    .run = init,
};

const Command kTemplates{
    .path = "templates",
    .summary = "List the Worker starters",
    .examples = kTemplatesExamples,
    .run = templates,
};

}  // namespace hyperdrive::cli
