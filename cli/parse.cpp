#include "cli/parse.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

#include "cli/command_tree.hpp"
#include "core/config/conceal.hpp"
#include "core/config/suggest.hpp"

namespace hyperdrive::cli {
namespace {

/// Does `names` (a flag's aliases) contain `name` as a word?
bool lists(std::string_view names, std::string_view name) {
  while (!names.empty()) {
    const auto end = std::min(names.find(' '), names.size());
    if (names.substr(0, end) == name) return true;
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return false;
}

const Flag* find_flag(std::span<const Flag> flags, std::string_view name) {
  for (const Flag& flag : flags) {
    if (flag.name == name || lists(flag.aliases, name)) return &flag;
  }
  return nullptr;
}

/// `-5` and `-1.5` are values, not flags.
bool is_negative_number(std::string_view word) {
  return word.size() > 1 && word[0] == '-' &&
         (std::isdigit(static_cast<unsigned char>(word[1])) != 0 ||
          (word[1] == '.' && word.size() > 2));
}

bool looks_like_flag(std::string_view word) {
  return word.size() > 1 && word[0] == '-' && !is_negative_number(word);
}

/// One flag as written: `--no-x=y` → {flag x, negated, "y"}.
struct Spelled {
  const Flag* flag = nullptr;
  std::string written;  ///< the name for messages, without dashes
  bool negated = false;
  bool has_value = false;  ///< `=value` was there
  std::string value;
};

/// As in wrangler, quotes around what follows an `=` are taken off: some shells (cmd.exe, the
/// scripts of a package.json) hand `--database='shop'` over as it is written.
std::string_view unquoted(std::string_view value) {
  const bool quoted = value.size() > 1 && (value.front() == '\'' || value.front() == '"') &&
                      value.back() == value.front();
  return quoted ? value.substr(1, value.size() - 2) : value;
}

Spelled spell_long(std::span<const Flag> flags, std::string_view word) {
  Spelled result;
  word.remove_prefix(2);
  const auto equals = word.find('=');
  if (equals != std::string_view::npos) {
    result.has_value = true;
    result.value = std::string(unquoted(word.substr(equals + 1)));
  }
  result.written = std::string(word.substr(0, equals));
  const std::string name = kebab_case(result.written);
  result.flag = find_flag(flags, name);
  if (result.flag == nullptr && result.written.starts_with("no-")) {
    const Flag* positive = find_flag(flags, kebab_case(result.written.substr(3)));
    if (positive != nullptr && positive->kind == FlagKind::kBoolean) {
      result.flag = positive;
      result.negated = true;
    }
  }
  return result;
}

/// `-e name`, `-e=name`, `-ename`. A run of booleans (`-qy`) comes back one by one.
Spelled spell_short(std::span<const Flag> flags, std::string_view word) {
  Spelled result;
  result.written = std::string(word.substr(1, 1));
  result.flag = find_flag(flags, result.written);
  std::string_view tail = word.substr(2);
  if (!tail.empty()) {
    if (tail[0] == '=') tail.remove_prefix(1);
    result.has_value = true;
    result.value = std::string(tail);
  }
  return result;
}

bool is_truth(std::string_view text) { return text == "true" || text == "false"; }

std::vector<std::string> known_names(std::span<const Flag> flags) {
  std::vector<std::string> names;
  for (const Flag& flag : flags) {
    if (!flag.hidden) names.emplace_back(flag.name);
    std::string_view aliases = flag.aliases;
    while (!aliases.empty()) {
      const auto end = std::min(aliases.find(' '), aliases.size());
      if (end > 1) names.emplace_back(aliases.substr(0, end));
      aliases.remove_prefix(std::min(end + 1, aliases.size()));
    }
  }
  return names;
}

/// Which commands have the flag that this one lacks: `start x --local-port 5433` is what people
/// type.
std::string elsewhere(std::string_view name) {
  std::vector<std::string> owners;
  for (const Command* command : commands()) {
    if (command->hidden || find_flag(all_flags(*command), name) == nullptr) continue;
    owners.push_back(fmt::format("`hyperdrive {}`", command->path));
  }
  if (owners.empty()) return {};
  return fmt::format("--{} is a flag of {}.", name, fmt::join(owners, ", "));
}

/// Reads words one after another into Arguments.
class Reader {
 public:
  Reader(std::span<const std::string> words, std::vector<Flag> flags)
      : words_(words), flags_(std::move(flags)) {}

  core::Result<void> read(std::size_t from, Arguments& into) {
    for (next_ = from; next_ < words_.size();) {
      const std::string& word = words_[next_++];
      if (word == "--") {
        into.set_rest({words_.begin() + static_cast<std::ptrdiff_t>(next_), words_.end()});
        return {};
      }
      if (!looks_like_flag(word)) {
        into.add_positional(word);
        continue;
      }
      auto done = word.starts_with("--") ? read_flag(spell_long(flags_, word), into)
                                         : read_short(word, into);
      if (!done) return done;
    }
    return {};
  }

 private:
  /// `-e name`, `-ename`, and a run of booleans: `-qy` is `-q -y`.
  core::Result<void> read_short(std::string word, Arguments& into) {
    while (true) {
      Spelled spelled = spell_short(flags_, word);
      const bool run = spelled.flag != nullptr && spelled.has_value &&
                       spelled.flag->kind == FlagKind::kBoolean && !is_truth(spelled.value);
      if (!run) return read_flag(std::move(spelled), into);
      spelled.has_value = false;
      if (auto done = read_flag(std::move(spelled), into); !done) return done;
      word.erase(1, 1);
    }
  }

  core::Result<void> read_flag(Spelled spelled, Arguments& into) {
    if (spelled.flag == nullptr) return unknown(spelled.written);
    const Flag& flag = *spelled.flag;
    if (flag.kind == FlagKind::kBoolean) return read_boolean(spelled, into);
    if (!spelled.has_value) {
      if (next_ >= words_.size() || looks_like_flag(words_[next_])) return no_value(flag);
      spelled.value = words_[next_++];
    }
    if (flag.kind != FlagKind::kList && into.given(flag.name)) {
      return core::usage(
          fmt::format("The argument \"--{}\" expects a single value, but was given more than once.",
                      flag.name),
          "Leave one of them out.");
    }
    into.add(flag.name, std::move(spelled.value));
    return {};
  }

  core::Result<void> read_boolean(const Spelled& spelled, Arguments& into) {
    bool value = true;
    if (spelled.has_value) {
      if (!is_truth(spelled.value)) {
        return core::usage(fmt::format("--{} is either true or false, not \"{}\".",
                                       spelled.flag->name, spelled.value));
      }
      value = spelled.value == "true";
    } else if (!spelled.negated && next_ < words_.size() && is_truth(words_[next_])) {
      value = words_[next_++] == "true";
    }
    into.set(spelled.flag->name, value != spelled.negated ? "true" : "false");
    return {};
  }

  core::Result<void> unknown(const std::string& written) const {
    const std::string name = kebab_case(written);
    const std::string dashes = written.size() == 1 ? "-" : "--";
    const auto names = known_names(flags_);
    auto near = core::nearest(name, names, 3);
    std::string hint;
    for (const std::string& candidate : near) {
      hint += (hint.empty() ? "Did you mean --" : " or --") + candidate;
    }
    if (!hint.empty()) hint += "?";
    if (hint.empty()) hint = elsewhere(name);
    return core::usage(fmt::format("Unknown argument: {}{}", dashes, written), hint);
  }

  static core::Result<void> no_value(const Flag& flag) {
    return core::usage(fmt::format("Not enough arguments following: --{}", flag.name),
                       fmt::format("Give it a value; one that begins with a dash is written "
                                   "--{}=-value.",
                                   flag.name));
  }

  std::span<const std::string> words_;
  std::vector<Flag> flags_;
  std::size_t next_ = 0;
};

/// Where the words of the command stand among the flags. A flag before the command is global.
struct Route {
  const Command* command = nullptr;
  std::string group;
  std::vector<std::size_t> words;  ///< their positions
  std::optional<std::string> unknown;
};

/// How many words a global flag takes when it stands at `word`; 1 if it is no global flag at all.
std::size_t width_of_global(std::string_view word, bool has_next, std::string_view next) {
  const auto globals = global_flags();
  const Spelled spelled =
      word.starts_with("--") ? spell_long(globals, word) : spell_short(globals, word);
  if (spelled.flag == nullptr || spelled.has_value || !has_next) return 1;
  if (spelled.flag->kind == FlagKind::kBoolean) return is_truth(next) ? 2 : 1;
  return 2;
}

Route find_route(std::span<const std::string> words) {
  Route route;
  for (std::size_t i = 0; i < words.size();) {
    const std::string& word = words[i];
    if (word == "--") break;
    if (looks_like_flag(word)) {
      const bool has_next = i + 1 < words.size();
      i += width_of_global(word, has_next, has_next ? std::string_view(words[i + 1]) : "");
      continue;
    }
    const std::string path = route.group.empty() ? word : route.group + " " + word;
    if (const Command* command = find_command(path)) {
      route.command = command;
      route.words.push_back(i);
      return route;
    }
    if (commands_below(path).empty()) {
      route.unknown = word;
      return route;
    }
    route.group = path;
    route.words.push_back(i++);
  }
  return route;
}

core::Result<Parsed> unknown_command(const Route& route) {
  std::vector<std::string> names;
  for (const Command* command : commands()) {
    if (command->hidden) continue;
    const std::string_view path = command->path;
    std::string_view below = path;
    if (!route.group.empty()) {
      if (!path.starts_with(route.group + " ")) continue;
      below.remove_prefix(route.group.size() + 1);
    }
    const std::string word(below.substr(0, below.find(' ')));
    if (std::find(names.begin(), names.end(), word) == names.end()) names.push_back(word);
  }
  std::string hint = core::did_you_mean(*route.unknown, names);
  const std::string help = fmt::format("`hyperdrive{}{} --help` lists the commands.",
                                       route.group.empty() ? "" : " ", route.group);
  hint = hint.empty() ? help : hint + "\n" + help;
  return core::usage(fmt::format("Unknown command: {}", *route.unknown), hint);
}

bool takes_another(const Command& command, const Arguments& arguments) {
  if (arguments.positionals().size() < command.positionals.size()) return true;
  return !command.positionals.empty() && command.positionals.back().many;
}

core::Result<void> check_positionals(const Command& command, const Arguments& arguments) {
  std::size_t required = 0;
  bool many = false;
  for (const Positional& positional : command.positionals) {
    required += positional.required ? 1 : 0;
    many = many || positional.many;
  }
  const std::size_t got = arguments.positionals().size();
  const std::string help = fmt::format("`hyperdrive {} --help` shows how.", command.path);
  if (got < required) {
    return core::usage(fmt::format("Not enough arguments: `hyperdrive {}` needs <{}>.",
                                   command.path, command.positionals[got].name),
                       help);
  }
  if (got > command.positionals.size() && !many) {
    return core::usage(
        fmt::format("Unknown argument: {}", arguments.positionals()[command.positionals.size()]),
        help);
  }
  return {};
}

}  // namespace

std::string kebab_case(std::string_view name) {
  std::string result;
  for (const char c : name) {
    if (std::isupper(static_cast<unsigned char>(c)) != 0 && !result.empty()) result += '-';
    result += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return name.find('-') == std::string_view::npos ? result : std::string(name);
}

namespace {

/// `help create`, as many programs have it, is `create --help`.
std::vector<std::string> without_help_word(std::span<const std::string> words) {
  std::vector<std::string> rest(words.begin(), words.end());
  if (rest.empty() || rest.front() != "help") return rest;
  rest.erase(rest.begin());
  rest.emplace_back("--help");
  return rest;
}

}  // namespace

core::Result<Parsed> parse(std::span<const std::string> given) {
  const std::vector<std::string> words = without_help_word(given);
  const Route route = find_route(words);
  Parsed parsed;
  parsed.command = route.command;
  parsed.group = route.group;

  std::vector<std::string> remaining;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (std::find(route.words.begin(), route.words.end(), i) == route.words.end()) {
      remaining.push_back(words[i]);
    }
  }
  if (route.command == nullptr) {
    const auto globals = global_flags();
    Reader reader(remaining, {globals.begin(), globals.end()});
    if (auto done = reader.read(0, parsed.arguments); !done) {
      // A flag of some command before the command's name: name the unknown word first.
      if (route.unknown) return unknown_command(route);
      return tl::unexpected(done.error());
    }
    parsed.version = parsed.arguments.on("version");
    parsed.help = !parsed.version;
    if (route.unknown && !parsed.version) return unknown_command(route);
    return parsed;
  }

  Reader reader(remaining, all_flags(*route.command));
  auto done = reader.read(0, parsed.arguments);
  parsed.help = parsed.arguments.on("help");
  parsed.version = parsed.arguments.on("version");
  if (parsed.help || parsed.version) return parsed;
  if (!done) return tl::unexpected(done.error());
  if (!route.command->takes_command) {
    // As in wrangler, words after `--` are positionals, and those too many are ignored.
    for (const std::string& word : parsed.arguments.rest()) {
      if (takes_another(*route.command, parsed.arguments)) parsed.arguments.add_positional(word);
    }
  }
  if (auto counted = check_positionals(*route.command, parsed.arguments); !counted) {
    return tl::unexpected(counted.error());
  }
  return parsed;
}

bool wants_json(std::span<const std::string> words) {
  for (const std::string& word : words) {
    if (word == "--") return false;
    if (word == "--json" || word == "--json=true") return true;
  }
  return false;
}

std::vector<SecretSpan> secret_spans(std::span<const std::string> words) {
  // Every command's secret flags: a line that does not parse must hide them as well.
  std::vector<Flag> secrets;
  for (const Command* command : commands()) {
    for (const Flag& flag : all_flags(*command)) {
      if (flag.secret && find_flag(secrets, flag.name) == nullptr) secrets.push_back(flag);
    }
  }
  std::vector<SecretSpan> spans;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--") break;
    const Spelled spelled = words[i].starts_with("--") ? spell_long(secrets, words[i]) : Spelled{};
    if (spelled.flag == nullptr) {
      // A misspelt flag's value, or a connection string in the place of a name.
      if (const auto at = core::url_password(words[i])) spans.push_back({i, *at});
      continue;
    }
    if (spelled.has_value) {
      spans.push_back({i, words[i].find('=') + 1});
    } else if (i + 1 < words.size()) {
      spans.push_back({++i, 0});
    }
  }
  return spans;
}

}  // namespace hyperdrive::cli
