// Standard output and standard error of a command: colour only on a terminal, one JSON document
// with --json, nothing but results with --quiet. What goes to standard error shows no password of a
// URL (core/config/conceal.hpp): a connection string in a wrong place comes back in an error.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "core/base/error.hpp"

namespace hyperdrive::cli {

enum class Style { kPlain, kBold, kDim, kRed, kGreen, kYellow, kBlue, kCyan };

class Output {
 public:
  struct Mode {
    bool json = false;
    bool quiet = false;
    bool colour_allowed = true;  ///< `--no-color` and NO_COLOR take it away
  };

  explicit Output(Mode mode);

  bool json() const { return mode_.json; }
  bool quiet() const { return mode_.quiet; }

  /// For people: a line on standard output, left out with --json and --quiet.
  void say(std::string_view line);
  /// The result itself: a line on standard output, left out with --json only.
  void print(std::string_view line);
  /// Text that is complete as it is, whatever the mode.
  void print_raw(std::string_view text);
  /// With --json: the one document, indented by two.
  void document(const nlohmann::ordered_json& json);
  /// With --json: `json`; else nothing. For commands that also speak.
  void document_if_json(const nlohmann::ordered_json& json);
  /// A line on standard error that is no error (`▲ [WARNING] …`); not with --quiet.
  void warn(std::string_view text);
  /// A line on standard error for people, left out with --json and --quiet.
  void note(std::string_view text);
  void error(const core::Error& told);

  /// An error where standard output took not everything (a full disk): a command that has done its
  /// work has failed then, `hyperdrive export > FILE` above all. Not where a reader has left.
  core::Result<void> check_written() const;
  /// Nobody reads standard output any more: what has no end ends here.
  bool reader_left() const;

  /// `text` coloured for standard output, or as it is when that is no terminal.
  std::string styled(std::string_view text, Style style) const;

  bool terminal() const { return out_terminal_; }        ///< standard output is a terminal
  bool error_terminal() const { return err_terminal_; }  ///< standard error is a terminal
  /// Columns of the terminal; 0 when standard output is none.
  std::size_t width() const;

 private:
  std::string paint(std::string_view text, Style style, bool terminal) const;
  void put(std::string_view text);

  Mode mode_;
  int write_error_ = 0;  ///< errno of the first write that failed
  bool out_terminal_;
  bool err_terminal_;
};

/// Control characters made visible (`\n` → `\\n`, ESC → `\\x1b`), so that text from elsewhere (SQL,
/// names, a server's words) cannot drive the terminal.
std::string printable(std::string_view text);

/// SQL of several lines as one, printable: what goes over a line's end is one blank.
std::string one_line(std::string_view sql);

/// `1 config`, `2 configs`.
std::string counted(std::uint64_t number, std::string_view one, std::string_view many);

}  // namespace hyperdrive::cli
