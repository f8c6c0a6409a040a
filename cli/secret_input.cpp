#include "cli/secret_input.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "cli/output/prompt.hpp"
#include "core/base/file.hpp"

namespace hyperdrive::cli {
namespace {

constexpr std::size_t kMostBytes = 64 * 1024;

/// The text without the newline that editors and `echo` put at its end.
core::Secret without_newline(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return core::Secret(std::move(text));
}

/// A terminal is asked, and what is typed there is not shown: nobody thinks of ending a line with
/// Ctrl-D. Everything else is read to its end.
core::Result<core::Secret> read_standard_input(Context& context, std::string_view what) {
  if (context.may_ask()) {
    auto typed = ask_secret(context.out(), fmt::format("The {} (not shown)?", what));
    if (!typed || !typed->empty()) return typed;
    return core::usage(fmt::format("No {} was typed.", what));
  }
  std::string text;
  char buffer[4096];
  while (text.size() <= kMostBytes) {
    const ssize_t got = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return core::fail(fmt::format("Cannot read the {} from standard input: {}.", what,
                                    core::errno_text(errno)));
    }
    if (got == 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  core::Secret secret = without_newline(std::move(text));
  if (secret.empty()) {
    return core::usage(fmt::format("Standard input holds no {}.", what),
                       "Pipe it in, for example: printf %s \"$SECRET\" | hyperdrive …");
  }
  return secret;
}

}  // namespace

core::Result<std::optional<core::Secret>> connection_string_input(Context& context) {
  const Arguments& args = context.args();
  if (const auto name = args.text("connection-string-env")) {
    auto value = environment_variable(name->c_str());
    if (!value) {
      return core::usage(fmt::format("The environment variable {} is {}.", *name,
                                     std::getenv(name->c_str()) == nullptr ? "not set" : "empty"),
                         "--connection-string-env takes the name of a variable that holds the "
                         "connection string.");
    }
    return core::Secret(std::move(*value));
  }
  auto text = args.text("connection-string");
  if (!text) return std::nullopt;
  if (*text != "-") return core::Secret(std::move(*text));
  auto secret = read_standard_input(context, "connection string");
  if (!secret) return tl::unexpected(secret.error());
  return std::move(*secret);
}

core::Result<std::optional<core::Secret>> password_input(Context& context) {
  const Arguments& args = context.args();
  if (const auto file = args.text("origin-password-file")) {
    if (*file == "-") {
      auto secret = read_standard_input(context, "password");
      if (!secret) return tl::unexpected(secret.error());
      return std::move(*secret);
    }
    auto text = core::read_file(*file, kMostBytes);
    if (!text) return tl::unexpected(text.error());
    core::Secret secret = without_newline(std::move(*text));
    if (secret.empty()) return core::usage(fmt::format("The file '{}' holds no password.", *file));
    return secret;
  }
  if (auto text = args.text("origin-password")) return core::Secret(std::move(*text));
  return std::nullopt;
}

}  // namespace hyperdrive::cli
