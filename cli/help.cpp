#include "cli/help.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "cli/command_tree.hpp"
#include "cli/commands/all.hpp"
#include "cli/output/table.hpp"
#include "core/config/settings.hpp"

namespace hyperdrive::cli {
namespace {

constexpr std::string_view kOptions = "OPTIONS";
constexpr std::string_view kGlobal = "GLOBAL FLAGS";

using Row = std::pair<std::string, std::string>;

/// Folds at blanks so that no line is wider than `width`; further lines begin with `indent` blanks.
std::string folded(std::string_view text, std::size_t width, std::size_t indent) {
  std::string result;
  std::size_t column = indent;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    const std::size_t wide = cells(word);
    if (column > indent && width > 0 && column + 1 + wide > width) {
      result += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      result += ' ';
      ++column;
    }
    result += word;
    column += wide;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

std::string rows_text(const std::vector<Row>& rows, std::size_t width) {
  std::size_t widest = 0;
  for (const auto& [left, right] : rows) widest = std::max(widest, cells(left));
  widest = std::min<std::size_t>(widest, 50);
  std::string text;
  for (const auto& [left, right] : rows) {
    const std::size_t used = cells(left);
    const std::size_t column = widest + 4;
    std::string line = "  " + left;
    if (right.empty()) {
      text += line + "\n";
      continue;
    }
    if (width > 0 && width < column + 24) {
      text += line + "\n      " + folded(right, width, 6) + "\n";
      continue;
    }
    line += used > widest ? "\n" + std::string(column, ' ') : std::string(column - 2 - used, ' ');
    text += line + folded(right, width, column) + "\n";
  }
  return text;
}

std::string usage_line(const Command& command) {
  std::string line = fmt::format("hyperdrive {}", command.path);
  for (const Positional& positional : command.positionals) {
    const std::string name = fmt::format("{}{}", positional.name, positional.many ? "…" : "");
    line += positional.required ? fmt::format(" <{}>", name) : fmt::format(" [{}]", name);
  }
  if (command.takes_command) line += " [-- command…]";
  return line;
}

/// `-c, --config` / `    --origin-host, --host` / `    --no-verify`.
std::string spelling(const Flag& flag) {
  std::string letter = "    ";
  std::string names = fmt::format("--{}{}", flag.on ? "no-" : "", flag.name);
  std::string_view aliases = flag.aliases;
  while (!aliases.empty()) {
    const auto end = std::min(aliases.find(' '), aliases.size());
    const std::string_view alias = aliases.substr(0, end);
    if (alias.size() == 1) {
      letter = fmt::format("-{}, ", alias);
    } else {
      names += fmt::format(", --{}", alias);
    }
    aliases.remove_prefix(std::min(end + 1, aliases.size()));
  }
  return letter + names;
}

std::string type_of(const Flag& flag) {
  std::string type;
  switch (flag.kind) {
    case FlagKind::kBoolean:
      type = "[boolean]";
      break;
    case FlagKind::kNumber:
      type = "[number]";
      break;
    case FlagKind::kList:
      type = "[repeatable]";
      break;
    case FlagKind::kText:
      type = "[string]";
      break;
  }
  if (!flag.choices.empty()) {
    std::string choices(flag.choices);
    for (std::size_t at = 0; (at = choices.find('|', at)) != std::string::npos; at += 2) {
      choices.replace(at, 1, ", ");
    }
    type += fmt::format(" [choices: {}]", choices);
  }
  return type;
}

/// The type, and what holds if a new config is not told: an update leaves alone what it is not
/// told.
std::string type_of(const Flag& flag, const Command* command) {
  std::string type = type_of(flag);
  const core::Setting* setting = command == &kCreate ? core::find_setting(flag.name) : nullptr;
  if (setting == nullptr) return type;
  const std::string value = core::default_text(*setting);
  if (!value.empty()) type += fmt::format(" [default: {}]", value);
  return type;
}

struct Group {
  std::string_view title;
  std::vector<const Flag*> flags;
};

/// In the order of their first flag; the plain options and the global flags last.
std::vector<Group> grouped(const std::vector<Flag>& flags) {
  std::vector<Group> groups;
  const auto add = [&groups](std::string_view title, const Flag& flag) {
    for (Group& group : groups) {
      if (group.title == title) return group.flags.push_back(&flag);
    }
    groups.push_back({title, {&flag}});
  };
  for (const std::string_view pass : {std::string_view{}, kOptions, kGlobal}) {
    for (const Flag& flag : flags) {
      if (flag.hidden) continue;
      const std::string_view title = flag.group.empty() ? kOptions : flag.group;
      const bool last = title == kOptions || title == kGlobal;
      if (pass.empty() ? !last : title == pass) add(title, flag);
    }
  }
  return groups;
}

std::vector<Row> flag_rows(const Group& group, const Command* command) {
  std::vector<Row> rows;
  for (const Flag* flag : group.flags) {
    rows.emplace_back(spelling(*flag), fmt::format("{}  {}", flag->help, type_of(*flag, command)));
  }
  return rows;
}

std::vector<Row> positional_rows(const Command& command) {
  std::vector<Row> rows;
  for (const Positional& positional : command.positionals) {
    rows.emplace_back(positional.name, fmt::format("{}{}", positional.help,
                                                   positional.required ? "  [required]" : ""));
  }
  return rows;
}

/// The commands (and groups) directly below `group`.
std::vector<Row> command_rows(std::string_view group) {
  std::vector<Row> rows;
  std::string_view last_group;
  for (const Command* command : commands()) {
    if (command->hidden) continue;
    std::string_view path = command->path;
    if (!group.empty()) {
      if (!path.starts_with(group) || path.size() == group.size() || path[group.size()] != ' ') {
        continue;
      }
    }
    const std::size_t from = group.empty() ? 0 : group.size() + 1;
    const auto blank = path.find(' ', from);
    if (blank == std::string_view::npos) {
      rows.emplace_back(usage_line(*command), command->summary);
    } else if (path.substr(0, blank) != last_group) {
      last_group = path.substr(0, blank);
      rows.emplace_back(fmt::format("hyperdrive {}", last_group), group_summary(last_group));
    }
  }
  return rows;
}

std::string details_text(std::string_view details, std::size_t width) {
  std::string text;
  while (!details.empty()) {
    const auto end = std::min(details.find('\n'), details.size());
    text += folded(details.substr(0, end), width, 0) + "\n";
    details.remove_prefix(std::min(end + 1, details.size()));
  }
  return text;
}

}  // namespace

std::string overview(std::string_view group, std::size_t width) {
  std::string text = group.empty()
                         ? "hyperdrive\n\n🚀 Manage Hyperdrive databases on this machine\n"
                         : fmt::format("hyperdrive {}\n\n{}\n", group, group_summary(group));
  text += "\nCOMMANDS\n" + rows_text(command_rows(group), width);
  const auto globals = global_flags();
  const std::vector<Flag> flags_here(globals.begin(), globals.end());
  for (const Group& flags : grouped(flags_here)) {
    text += fmt::format("\n{}\n{}", flags.title, rows_text(flag_rows(flags, nullptr), width));
  }
  if (group.empty()) {
    text += "\nFIRST STEPS\n" +
            rows_text({{"hyperdrive create my-db --connection-string -",
                        "asks for the URL, "
                        "and does not show it"},
                       {"hyperdrive bind my-db", "writes the binding into your wrangler file"},
                       {"hyperdrive dev -- npx wrangler dev",
                        "your Worker, its queries, its "
                        "cache"}},
                      width);
  }
  return text;
}

std::string command_help(const Command& command, std::size_t width) {
  std::string text = fmt::format("{}\n\n{}\n", usage_line(command), command.summary);
  if (!command.details.empty()) text += "\n" + details_text(command.details, width);
  if (!command.positionals.empty()) {
    text += "\nPOSITIONALS\n" + rows_text(positional_rows(command), width);
  }
  const auto flags = all_flags(command);
  for (const Group& group : grouped(flags)) {
    text += fmt::format("\n{}\n{}", group.title, rows_text(flag_rows(group, &command), width));
  }
  if (!command.examples.empty()) {
    std::vector<Row> rows;
    for (const Example& example : command.examples) rows.emplace_back(example.line, example.says);
    text += "\nEXAMPLES\n" + rows_text(rows, width);
  }
  return text;
}

namespace {

void append_flags(std::string& text, const Group& group, const Command* command) {
  for (const Flag* flag : group.flags) {
    std::string names = spelling(*flag);
    names.erase(0, names.find_first_not_of(' '));
    text += fmt::format("- `{}` {} {}\n", names, flag->help, type_of(*flag, command));
  }
  text += "\n";
}

void append_command(std::string& text, const Command& command) {
  text += fmt::format("## hyperdrive {}\n{}.\n\n", command.path, command.summary);
  if (!command.details.empty()) text += fmt::format("{}\n\n", command.details);
  text += fmt::format("```\n{}\n```\n\n", usage_line(command));
  const auto flags = all_flags(command);
  for (const Group& group : grouped(flags)) {
    if (group.title == kGlobal) continue;
    text += fmt::format("{}:\n\n", group.title == kOptions ? "Options" : group.title);
    append_flags(text, group, &command);
  }
  text += "```sh\n";
  for (const Example& example : command.examples) {
    text += fmt::format("{}    # {}\n", example.line, example.says);
  }
  text += "```\n\n";
}

}  // namespace

std::string commands_markdown() {
  std::string text =
      "# Commands\n\nMade from the program by `hyperdrive __docs`; `hyperdrive <command> --help` "
      "prints the same.\n\n## Global flags\nEvery command takes them.\n\n";
  const auto globals = global_flags();
  const std::vector<Flag> flags(globals.begin(), globals.end());
  for (const Group& group : grouped(flags)) append_flags(text, group, nullptr);
  for (const Command* command : commands()) {
    if (!command->hidden) append_command(text, *command);
  }
  if (text.ends_with("\n\n")) text.pop_back();
  return text;
}

}  // namespace hyperdrive::cli
