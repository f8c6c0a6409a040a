#include "cli/completion.hpp"

#include <algorithm>
#include <filesystem>

#include "cli/command_tree.hpp"
#include "cli/parse.hpp"
#include "cli/template_files.hpp"
#include "cli/wrangler_file.hpp"

namespace hyperdrive::cli {
namespace {

/// How far the line before the cursor has come.
struct Position {
  const Command* command = nullptr;
  std::string group;
  std::size_t positionals = 0;      ///< already given
  const Flag* open_flag = nullptr;  ///< waits for its value
  bool after_dashes = false;
};

bool has_name(const Flag& flag, std::string_view name) {
  if (flag.name == name) return true;
  const std::string padded = " " + std::string(flag.aliases) + " ";
  return padded.find(" " + std::string(name) + " ") != std::string::npos;
}

const Flag* flag_named(const std::vector<Flag>& flags, std::string_view word) {
  word.remove_prefix(word.starts_with("--") ? 2 : 1);
  const std::string name = kebab_case(word);
  for (const Flag& flag : flags) {
    if (has_name(flag, name)) return &flag;
  }
  return nullptr;
}

std::vector<Flag> flags_at(const Command* command) {
  if (command != nullptr) return all_flags(*command);
  const auto globals = global_flags();
  return {globals.begin(), globals.end()};
}

/// `flags` must live as long as the result: open_flag points into it.
Position position_after(std::span<const std::string> words, std::vector<Flag>& flags) {
  Position at;
  flags = flags_at(nullptr);
  for (const std::string& word : words) {
    if (at.open_flag != nullptr) {
      // bash hands `--sslmode=require` over as three words.
      if (word != "=") at.open_flag = nullptr;
    } else if (word == "--") {
      at.after_dashes = true;
      return at;
    } else if (word.size() > 1 && word[0] == '-') {
      const Flag* flag = word.find('=') == std::string::npos ? flag_named(flags, word) : nullptr;
      if (flag != nullptr && flag->kind != FlagKind::kBoolean) at.open_flag = flag;
    } else if (at.command != nullptr) {
      ++at.positionals;
    } else {
      at.group += (at.group.empty() ? "" : " ") + word;
      at.command = find_command(at.group);
      flags = flags_at(at.command);
    }
  }
  return at;
}

void add(Completion& completion, std::string_view typed, std::string_view text,
         std::string_view says = {}) {
  if (!text.starts_with(typed)) return;
  for (const Candidate& candidate : completion.candidates) {
    if (candidate.text == text) return;
  }
  completion.candidates.push_back({std::string(text), std::string(says)});
}

void offer_commands(Completion& completion, const std::string& group, std::string_view typed) {
  for (const Command* command : commands()) {
    if (command->hidden) continue;
    std::string_view path = command->path;
    if (!group.empty()) {
      if (!path.starts_with(group + " ")) continue;
      path.remove_prefix(group.size() + 1);
    }
    const auto blank = path.find(' ');
    const std::string_view word = path.substr(0, blank);
    const std::string full = group.empty() ? std::string(word) : group + " " + std::string(word);
    add(completion, typed, word,
        blank == std::string_view::npos ? command->summary : group_summary(full));
  }
}

void offer_flags(Completion& completion, const std::vector<Flag>& flags, std::string_view typed) {
  for (const Flag& flag : flags) {
    if (flag.hidden) continue;
    const std::string negated = "--no-" + std::string(flag.name);
    if (!flag.on) add(completion, typed, "--" + std::string(flag.name), flag.help);
    if (flag.on) add(completion, typed, negated, flag.help);
    const bool can_be_off = flag.kind == FlagKind::kBoolean && !flag.on && flag.name != "help" &&
                            flag.name != "version";
    // Its help says what the flag does, not what it does not do.
    if (can_be_off && typed.starts_with("--no-")) add(completion, typed, negated);
  }
}

void offer_configs(Completion& completion, Context& context, std::string_view typed) {
  auto home = context.home();
  std::error_code error;
  // Pressing TAB must not create an installation.
  if (!home || !std::filesystem::exists(home->registry(), error)) return;
  auto registry = context.registry();
  if (!registry) return;
  // Distinct already, and perhaps very many: not compared with each other again.
  for (std::string& name : (*registry)->names_starting_with(typed)) {
    completion.candidates.push_back({std::move(name), {}});
  }
}

void offer_bindings(Completion& completion, Context& context, std::string_view typed) {
  auto file = read_wrangler_file(context);
  if (!file || !*file) return;
  for (const auto& binding : (*file)->reading.bindings) add(completion, typed, binding.name);
}

void offer_environments(Completion& completion, Context& context, std::string_view typed) {
  auto file = read_wrangler_file(context);
  if (!file || !*file) return;
  for (const std::string& name : (*file)->reading.environments) add(completion, typed, name);
}

void offer_templates(Completion& completion, std::string_view typed) {
  auto templates = list_templates();
  if (!templates) return;
  for (const Template& one : *templates) add(completion, typed, one.name, one.says);
}

void offer_choices(Completion& completion, std::string_view choices, std::string_view typed) {
  while (!choices.empty()) {
    const auto end = std::min(choices.find('|'), choices.size());
    add(completion, typed, choices.substr(0, end));
    choices.remove_prefix(std::min(end + 1, choices.size()));
  }
}

void offer(Completion& completion, Context& context, Offer what, std::string_view choices,
           std::string_view typed) {
  switch (what) {
    case Offer::kConfigs:
      return offer_configs(completion, context, typed);
    case Offer::kBindings:
      return offer_bindings(completion, context, typed);
    case Offer::kTemplates:
      return offer_templates(completion, typed);
    case Offer::kChoices:
      return offer_choices(completion, choices, typed);
    case Offer::kFiles:
      completion.also = "files";
      return;
    case Offer::kFolders:
      completion.also = "folders";
      return;
    case Offer::kNothing:
      return;
  }
}

void offer_value(Completion& completion, Context& context, const Flag& flag,
                 std::string_view typed) {
  if (flag.name == "env") return offer_environments(completion, context, typed);
  offer(completion, context, flag.offer, flag.choices, typed);
}

/// `--flag=value` in one word, as zsh and fish have it: the candidates are whole words, too. False:
/// it is none.
bool offer_joined(Completion& completion, Context& context, const std::vector<Flag>& flags,
                  std::string_view typed) {
  const auto equals = typed.find('=');
  if (!typed.starts_with("--") || equals == std::string_view::npos) return false;
  const Flag* flag = flag_named(flags, typed.substr(0, equals));
  if (flag == nullptr) return true;
  offer_value(completion, context, *flag, typed.substr(equals + 1));
  for (Candidate& candidate : completion.candidates) {
    candidate.text.insert(0, typed.substr(0, equals + 1));
  }
  return true;
}

void offer_positional(Completion& completion, Context& context, const Position& at,
                      std::string_view typed) {
  const auto positionals = at.command->positionals;
  if (positionals.empty()) return;
  const std::size_t index = std::min(at.positionals, positionals.size() - 1);
  const Positional& positional = positionals[index];
  if (at.positionals >= positionals.size() && !positional.many) return;
  offer(completion, context, positional.offer, {}, typed);
}

}  // namespace

Completion complete(Context& context, std::span<const std::string> words) {
  Completion completion;
  if (words.empty()) return completion;
  const std::string_view typed = words.back();
  std::vector<Flag> flags;
  const Position at = position_after(words.first(words.size() - 1), flags);
  if (at.after_dashes) {
    completion.also = "command";
    return completion;
  }
  if (at.open_flag != nullptr) {
    offer_value(completion, context, *at.open_flag, typed == "=" ? "" : typed);
    return completion;
  }
  if (offer_joined(completion, context, flags, typed)) return completion;
  if (typed.starts_with("-")) {
    offer_flags(completion, flags, typed);
    return completion;
  }
  if (at.command == nullptr) {
    offer_commands(completion, at.group, typed);
  } else {
    offer_positional(completion, context, at, typed);
  }
  return completion;
}

}  // namespace hyperdrive::cli
