// `hyperdrive completions <shell>`, and `hyperdrive __complete`, which those scripts call.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands/all.hpp"
#include "cli/completion.hpp"
#include "cli/completion_scripts.hpp"
#include "cli/context.hpp"
#include "core/config/suggest.hpp"

namespace hyperdrive::cli {
namespace {

constexpr Positional kPositionals[] = {{.name = "shell", .help = "bash, zsh or fish"}};

constexpr Example kExamples[] = {
    {"source <(hyperdrive completions bash)", "in ~/.bashrc"},
    {"hyperdrive completions zsh > ~/.zfunc/_hyperdrive", "with ~/.zfunc in fpath"},
    {"hyperdrive completions fish > ~/.config/fish/completions/hyperdrive.fish", "fish"},
};

Outcome completions(Context& context) {
  const auto shell = context.args().positional(0);
  std::string_view script;
  if (shell == "bash") script = kBashCompletion;
  if (shell == "zsh") script = kZshCompletion;
  if (shell == "fish") script = kFishCompletion;
  if (script.empty()) {
    const std::vector<std::string> shells{"bash", "zsh", "fish"};
    const std::string near = core::did_you_mean(shell, shells);
    return core::usage(fmt::format("There are no completions for '{}'.", shell),
                       near.empty() ? "There are some for bash, zsh and fish." : near);
  }
  if (script.ends_with('\n')) script.remove_suffix(1);
  context.out().document_if_json({{"shell", shell}, {"script", script}});
  context.out().print(script);
  return 0;
}

/// One candidate a line, `text<TAB>what it is`; then perhaps `:files`, `:folders`, `:command`.
Outcome complete_words(Context& context) {
  const Completion completion = complete(context, context.args().rest());
  for (const Candidate& candidate : completion.candidates) {
    // A name with a newline would become two candidates.
    if (candidate.text.find('\n') != std::string::npos) continue;
    context.out().print(candidate.says.empty()
                            ? candidate.text
                            : fmt::format("{}\t{}", candidate.text, candidate.says));
  }
  if (!completion.also.empty()) context.out().print(":" + completion.also);
  return 0;
}

}  // namespace

const Command kCompletions{
    .path = "completions",
    .summary = "Print the completion script of a shell",
    .positionals = kPositionals,
    .examples = kExamples,
    .run = completions,
};

const Command kComplete{
    .path = "__complete",
    .summary = "What the shell offers at the cursor",
    .run = complete_words,
    .takes_command = true,
    .hidden = true,
};

}  // namespace hyperdrive::cli
