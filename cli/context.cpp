#include "cli/context.hpp"

#include <unistd.h>

#include <cstdlib>

#include "cli/command.hpp"

namespace hyperdrive::cli {

std::optional<std::string> environment_variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

Context::Context(const Command& command, Arguments arguments, Output& output)
    : command_(command), arguments_(std::move(arguments)), output_(output) {}

Context::~Context() = default;

core::Result<core::Home> Context::home() const { return core::locate_home(); }

core::Result<core::Registry*> Context::registry() {
  if (!registry_) {
    auto where = home();
    if (!where) return tl::unexpected(where.error());
    auto opened = core::Registry::open(*where);
    if (!opened) return tl::unexpected(opened.error());
    registry_.emplace(std::move(*opened));
  }
  return &*registry_;
}

std::string Context::environment() const {
  if (auto given = arguments_.text("env")) return *given;
  return environment_variable("CLOUDFLARE_ENV").value_or("");
}

std::optional<std::filesystem::path> Context::config_file() const {
  if (auto given = arguments_.text("config")) return std::filesystem::path(*given);
  return std::nullopt;
}

bool Context::may_ask() const {
  // CI runners may give their jobs a terminal; nobody sits at it.
  return ::isatty(STDIN_FILENO) == 1 && output_.terminal() && !arguments_.on("yes") &&
         !output_.json() && !environment_variable("CI");
}

}  // namespace hyperdrive::cli
