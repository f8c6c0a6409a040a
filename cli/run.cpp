#include "cli/run.hpp"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <new>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/context.hpp"
#include "cli/help.hpp"
#include "cli/interrupt.hpp"
#include "cli/parse.hpp"
#include "cli/version.hpp"
#include "core/base/file.hpp"
#include "core/wrangler/find.hpp"

namespace hyperdrive::cli {
namespace {

/// Overwrites secrets in the memory that /proc/PID/cmdline shows; `words` keeps them.
void hide_secrets(char** argv, const std::vector<std::string>& words) {
  for (const SecretSpan& span : secret_spans(words)) {
    char* const text = argv[span.word + 1];
    std::memset(text + span.offset, '*', std::strlen(text) - span.offset);
  }
}

Output::Mode mode_of(const Arguments& arguments) {
  Output::Mode mode;
  mode.json = arguments.on("json");
  mode.quiet = arguments.on("quiet");
  mode.colour_allowed = arguments.boolean("color").value_or(true);
  return mode;
}

core::Result<void> change_folder(const Arguments& arguments) {
  const auto folder = arguments.text("cwd");
  if (!folder || ::chdir(folder->c_str()) == 0) return {};
  return core::fail(
      fmt::format("Cannot work in the folder '{}': {}.", *folder, core::errno_text(errno)),
      "Give --cwd an existing folder.");
}

/// As in wrangler: a file that `-c` names must be there, whether the command reads it or not.
core::Result<void> check_config_file(const Context& context) {
  const auto named = context.config_file();
  if (!named) return {};
  auto found = core::wrangler::find_config(std::filesystem::current_path(), named);
  return found ? core::Result<void>{} : tl::unexpected(found.error());
}

int finish(Output& out, const Outcome& outcome) {
  const auto written = out.check_written();
  if (outcome && (*outcome != 0 || written)) return *outcome;
  const core::Error& error = outcome ? written.error() : outcome.error();
  out.error(error);
  return static_cast<int>(error.exit);
}

int print_help(const Parsed& parsed, Output& out) {
  std::string text = parsed.command != nullptr ? command_help(*parsed.command, out.width())
                                               : overview(parsed.group, out.width());
  out.print_raw(text);
  return finish(out, 0);
}

int run_words(const std::vector<std::string>& words) {
  auto parsed = parse(words);
  if (!parsed) {
    Output out({.json = wants_json(words)});
    return finish(out, tl::unexpected(parsed.error()));
  }
  Output out(mode_of(parsed->arguments));
  if (parsed->version) {
    out.document_if_json({{"version", kVersion}});
    out.print(kVersion);
    return finish(out, 0);
  }
  if (parsed->help) return print_help(*parsed, out);
  if (auto there = change_folder(parsed->arguments); !there) {
    return finish(out, tl::unexpected(there.error()));
  }
  Context context(*parsed->command, std::move(parsed->arguments), out);
  if (auto there = check_config_file(context); !there) {
    return finish(out, tl::unexpected(there.error()));
  }
  return finish(out, parsed->command->run(context));
}

}  // namespace

int run(int argc, char** argv) {
  install_interrupt();
  // No core dump of this process: it may hold an origin's password. exec() resets this.
  ::prctl(PR_SET_DUMPABLE, 0);
  const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  hide_secrets(argv, words);
  try {
    return run_words(words);
  } catch (const std::bad_alloc&) {
    core::write_all(STDERR_FILENO, "✘ [ERROR] Out of memory.\n");
  } catch (const std::exception& error) {
    core::write_all(STDERR_FILENO,
                    fmt::format("✘ [ERROR] A fault of this program: {}\n\n  Please report it with "
                                "the command that led here.\n",
                                error.what()));
  }
  return static_cast<int>(core::Exit::kError);
}

}  // namespace hyperdrive::cli
