#include "cli/output/prompt.hpp"

#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>

#include "cli/interrupt.hpp"
#include "core/base/file.hpp"

namespace hyperdrive::cli {
namespace {

void show(Output& out, std::string_view question, std::string_view choice) {
  std::string line =
      fmt::format("{} {} › ", out.styled("?", Style::kBlue), out.styled(question, Style::kBold));
  if (!choice.empty()) line += out.styled(fmt::format("{} ", choice), Style::kDim);
  core::write_all(STDOUT_FILENO, line);
}

/// One line without its newline; an end of file is an empty line.
core::Result<std::string> read_line() {
  std::string line;
  char c = 0;
  while (true) {
    const ssize_t got = ::read(STDIN_FILENO, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return core::fail(fmt::format("Cannot read from the terminal: {}.", core::errno_text(errno)));
    }
    if (got == 0) {
      core::write_all(STDOUT_FILENO, "\n");
      return line;
    }
    if (c == '\n') return line;
    line += c;
  }
}

std::string trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1));
}

}  // namespace

core::Result<bool> ask_yes_no(Output& out, std::string_view question, bool fallback) {
  while (true) {
    show(out, question, fallback ? "(Y/n)" : "(y/N)");
    auto line = read_line();
    if (!line) return tl::unexpected(line.error());
    const std::string answer = trimmed(*line);
    if (answer.empty()) return fallback;
    if (answer == "y" || answer == "Y" || answer == "yes") return true;
    if (answer == "n" || answer == "N" || answer == "no") return false;
    core::write_all(STDOUT_FILENO, "  Type y or n.\n");
  }
}

core::Result<std::string> ask_text(Output& out, std::string_view question,
                                   std::string_view fallback) {
  show(out, question, fallback.empty() ? "" : fmt::format("({})", fallback));
  auto line = read_line();
  if (!line) return line;
  std::string answer = trimmed(*line);
  return answer.empty() ? std::string(fallback) : answer;
}

core::Result<core::Secret> ask_secret(Output& out, std::string_view question) {
  // Hidden before the question is seen: who types at once is neither shown nor lost.
  const HiddenInput hidden;
  show(out, question, {});
  auto line = read_line();
  core::write_all(STDOUT_FILENO, "\n");
  if (!line) return tl::unexpected(line.error());
  if (!line->empty() && line->back() == '\r') line->pop_back();
  return core::Secret(std::move(*line));
}

}  // namespace hyperdrive::cli
