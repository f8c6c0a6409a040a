// `hyperdrive __docs`: docs/commands.md, made from the tables of the commands.
#include "cli/commands/all.hpp"
#include "cli/context.hpp"
#include "cli/help.hpp"

namespace hyperdrive::cli {
namespace {

Outcome docs(Context& context) {
  context.out().print_raw(commands_markdown());
  return 0;
}

}  // namespace

const Command kDocs{
    .path = "__docs",
    .summary = "Print docs/commands.md",
    .run = docs,
    .hidden = true,
};

}  // namespace hyperdrive::cli
