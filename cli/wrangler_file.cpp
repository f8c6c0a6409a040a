#include "cli/wrangler_file.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/config/suggest.hpp"
#include "core/wrangler/file.hpp"
#include "core/wrangler/find.hpp"

namespace hyperdrive::cli {
namespace wrangler = core::wrangler;

core::Result<std::optional<WranglerFile>> read_wrangler_file(Context& context) {
  auto path = wrangler::find_config(std::filesystem::current_path(), context.config_file());
  if (!path) return tl::unexpected(path.error());
  if (!*path) return std::nullopt;
  WranglerFile file{.path = **path, .format = wrangler::format_of(**path)};
  auto text = wrangler::read_file(file.path);
  if (!text) return tl::unexpected(text.error());
  file.text = std::move(*text);
  const std::string shown = display_path(file.path);
  auto reading = wrangler::read_bindings(file.text, file.format, shown);
  if (!reading) return tl::unexpected(reading.error());
  for (const std::string& warning : reading->warnings) {
    context.out().warn(fmt::format("{}: {}", shown, warning));
  }
  if (!reading->problems.empty()) {
    std::string list;
    for (const wrangler::Problem& problem : reading->problems) {
      list +=
          fmt::format("- {}{}\n", problem.line == 0 ? "" : fmt::format("line {}: ", problem.line),
                      problem.text);
    }
    return core::fail(fmt::format("{} is not a valid wrangler file.", shown),
                      list + "Mend it first; nothing was changed.");
  }
  file.reading = std::move(*reading);
  return file;
}

core::Result<WranglerFile> need_wrangler_file(Context& context) {
  auto file = read_wrangler_file(context);
  if (!file) return tl::unexpected(file.error());
  if (!*file) {
    return core::fail("There is no wrangler file here or above.",
                      "Go to your Worker's folder, or name the file: -c path/to/wrangler.jsonc. "
                      "`hyperdrive init` writes a Worker to start from.");
  }
  return std::move(**file);
}

core::Result<void> check_environment(Context& context, const WranglerFile& file) {
  const std::string wanted = context.environment();
  const auto& known = file.reading.environments;
  if (wanted.empty() || known.empty()) return {};
  if (std::find(known.begin(), known.end(), wanted) != known.end()) return {};
  const std::string near = core::did_you_mean(wanted, known);
  return core::usage(
      fmt::format("{} has no environment named '{}'.", display_path(file.path), wanted),
      fmt::format("It has: {}.{}{}", fmt::join(known, ", "), near.empty() ? "" : " ", near));
}

core::Result<void> check_bindable(Context& context, const WranglerFile& file,
                                  std::string_view binding) {
  const std::string shown = display_path(file.path);
  const std::string environment = context.environment();
  auto text = wrangler::bind(file.text, file.format, {shown, environment}, binding,
                             "00000000000000000000000000000000");
  if (!text) return tl::unexpected(text.error());
  return {};
}

core::Result<bool> bind_in_file(Context& context, const WranglerFile& file,
                                std::string_view binding, std::string_view id) {
  const std::string shown = display_path(file.path);
  const std::string environment = context.environment();
  return wrangler::edit_file(file.path, [&](std::string_view text) {
    return wrangler::bind(text, file.format, {shown, environment}, binding, id);
  });
}

std::string binding_id(const core::Config& config) {
  return config.remote_id.empty() ? config.id : config.remote_id;
}

std::string display_path(const std::filesystem::path& path) {
  std::error_code error;
  const auto here = std::filesystem::current_path(error);
  if (error) return path.string();
  const auto relative = path.lexically_relative(here);
  return relative.empty() || *relative.begin() == ".." ? path.string() : relative.string();
}

}  // namespace hyperdrive::cli
