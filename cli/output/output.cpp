#include "cli/output/output.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/base/file.hpp"
#include "core/config/conceal.hpp"
#include "core/config/json.hpp"

namespace hyperdrive::cli {
namespace {

void write_error_line(std::string_view text) {
  core::write_all(STDERR_FILENO, std::string(text) + '\n');
}

std::string_view escape(Style style) {
  switch (style) {
    case Style::kBold:
      return "\x1b[1m";
    case Style::kDim:
      return "\x1b[2m";
    case Style::kRed:
      return "\x1b[31m";
    case Style::kGreen:
      return "\x1b[32m";
    case Style::kYellow:
      return "\x1b[33m";
    case Style::kBlue:
      return "\x1b[34m";
    case Style::kCyan:
      return "\x1b[36m";
    case Style::kPlain:
      break;
  }
  return {};
}

}  // namespace

Output::Output(Mode mode)
    : mode_(mode),
      out_terminal_(::isatty(STDOUT_FILENO) == 1),
      err_terminal_(::isatty(STDERR_FILENO) == 1) {
  const char* no_colour = std::getenv("NO_COLOR");
  if (no_colour != nullptr && *no_colour != '\0') mode_.colour_allowed = false;
  const char* term = std::getenv("TERM");
  if (term != nullptr && std::string_view(term) == "dumb") mode_.colour_allowed = false;
}

void Output::say(std::string_view line) {
  if (!mode_.json && !mode_.quiet) put(std::string(line) + '\n');
}

void Output::print(std::string_view line) {
  if (!mode_.json) put(std::string(line) + '\n');
}

void Output::print_raw(std::string_view text) { put(text); }

void Output::put(std::string_view text) {
  if (write_error_ == 0) write_error_ = core::write_all(STDOUT_FILENO, text);
}

core::Result<void> Output::check_written() const {
  // A closed pipe (`hyperdrive list | head -1`) is the reader's decision, not an error of ours.
  if (write_error_ == 0 || reader_left()) return {};
  return core::fail(
      fmt::format("Standard output cannot be written: {}.", core::errno_text(write_error_)),
      "What is there is not whole.");
}

bool Output::reader_left() const { return write_error_ == EPIPE; }

void Output::document(const nlohmann::ordered_json& json) {
  // Text from a database may be in any encoding; a document must be UTF-8 all the same.
  put(json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n');
}

void Output::document_if_json(const nlohmann::ordered_json& json) {
  if (mode_.json) document(json);
}

void Output::warn(std::string_view text) {
  if (mode_.quiet) return;
  write_error_line(fmt::format("{} {}", paint("▲ [WARNING]", Style::kYellow, err_terminal_),
                               core::concealed(text)));
}

void Output::note(std::string_view text) {
  if (!mode_.json && !mode_.quiet) write_error_line(core::concealed(text));
}

void Output::error(const core::Error& told) {
  core::Error error = told;
  error.message = core::concealed(told.message);
  error.hint = core::concealed(told.hint);
  if (mode_.json) {
    write_error_line(core::error_json(error).dump(
        2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    return;
  }
  std::string text = fmt::format("{} {}", paint("✘ [ERROR]", Style::kRed, err_terminal_),
                                 paint(error.message, Style::kBold, err_terminal_));
  if (error.code != core::code::kNone) text += fmt::format(" [code: {}]", error.code);
  if (!error.hint.empty()) {
    text += "\n\n  ";
    for (const char c : error.hint) {
      text += c;
      if (c == '\n') text += "  ";
    }
  }
  write_error_line(text);
}

std::string Output::styled(std::string_view text, Style style) const {
  return paint(text, style, out_terminal_);
}

std::size_t Output::width() const {
  if (!out_terminal_) return 0;
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::string Output::paint(std::string_view text, Style style, bool terminal) const {
  if (!terminal || !mode_.colour_allowed || style == Style::kPlain) return std::string(text);
  return fmt::format("{}{}\x1b[0m", escape(style), text);
}

std::string printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += ' ';
    } else if (byte < 0x20 || byte == 0x7f) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += c;
    }
  }
  return result;
}

std::string one_line(std::string_view sql) {
  constexpr std::string_view kBlank = " \t\r\n";
  std::string joined;
  while (!sql.empty()) {
    const auto text = std::min(sql.find_first_of(kBlank), sql.size());
    joined += sql.substr(0, text);
    sql.remove_prefix(text);
    const auto blank = std::min(sql.find_first_not_of(kBlank), sql.size());
    const std::string_view between = sql.substr(0, blank);
    // At both ends nothing; blanks within a line as they are.
    const bool ends_line = between.find('\n') != std::string_view::npos;
    if (blank < sql.size() && !joined.empty()) joined += ends_line ? " " : between;
    sql.remove_prefix(blank);
  }
  return printable(joined);
}

std::string counted(std::uint64_t number, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", number, number == 1 ? one : many);
}

}  // namespace hyperdrive::cli
