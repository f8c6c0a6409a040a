#include "cli/commands/binding_step.hpp"

#include <fmt/format.h>

#include "cli/output/prompt.hpp"
#include "core/config/suggest.hpp"
#include "core/wrangler/snippet.hpp"

namespace hyperdrive::cli {
namespace wrangler = core::wrangler;

std::string valid_binding(Context& context, const std::string& wanted) {
  std::string name = wrangler::valid_binding_name(wanted);
  if (name != wanted) {
    context.out().note(fmt::format(
        "The binding is named {}: a Worker reads it as env.{}, and '{}' is no JavaScript name.",
        name, name, wanted));
  }
  return name;
}

core::Result<BindingStep> prepare_binding(Context& context) {
  BindingStep step;
  auto file = read_wrangler_file(context);
  if (!file) return tl::unexpected(file.error());
  step.file = std::move(*file);
  const auto wanted = context.args().text("binding");
  step.named = wanted.has_value();
  step.name = wanted ? valid_binding(context, *wanted) : std::string(wrangler::kDefaultBindingName);
  // As in wrangler, a named binding is written whatever else is said.
  step.edit = step.named ? true : context.args().boolean("update-config");
  if (!step.file) return step;
  if (auto fine = check_environment(context, *step.file); !fine) {
    return tl::unexpected(fine.error());
  }
  if (step.edit.value_or(context.may_ask())) {
    if (auto fine = check_bindable(context, *step.file, step.name); !fine) {
      return tl::unexpected(fine.error());
    }
  }
  return step;
}

core::Result<void> finish_binding(Context& context, const BindingStep& step,
                                  const core::Config& config) {
  Output& out = context.out();
  const std::string id = binding_id(config);
  const auto format = step.file ? step.file->format : wrangler::Format::kJsonc;
  out.say(wrangler::snippet_heading(context.environment()));
  out.say(wrangler::snippet(format, step.name, id));

  bool edit = step.edit.value_or(false);
  if (!step.file) {
    if (edit) out.warn("There is no wrangler file here or above; add the snippet to yours.");
    return {};
  }
  std::string name = step.name;
  if (!step.edit && context.may_ask()) {
    auto answer = ask_yes_no(out, "Would you like hyperdrive to add it on your behalf?", true);
    if (!answer) return tl::unexpected(answer.error());
    edit = *answer;
  }
  if (!edit) return {};
  if (!step.named && context.may_ask()) {
    auto wanted = ask_text(out, "What binding name would you like to use?", name);
    if (!wanted) return tl::unexpected(wanted.error());
    name = valid_binding(context, *wanted);
  }
  auto changed = bind_in_file(context, *step.file, name, id);
  if (!changed) {
    core::Error error = changed.error();
    error.message = fmt::format(
        "The config {} is stored, but the wrangler file could not be "
        "changed: {}",
        config.name, error.message);
    error.hint += fmt::format("{}Then: hyperdrive bind {} --binding {}",
                              error.hint.empty() ? "" : "\n", core::shell_word(config), name);
    return tl::unexpected(std::move(error));
  }
  out.note(fmt::format("{} {} the binding {}.", display_path(step.file->path),
                       *changed ? "now has" : "already had", name));
  return {};
}

}  // namespace hyperdrive::cli
