#include "core/wrangler/snippet.hpp"

#include <fmt/format.h>

#include "core/wrangler/writer.hpp"

namespace hyperdrive::core::wrangler {

std::string snippet_heading(std::string_view environment) {
  const std::string where =
      environment.empty() ? "" : fmt::format(" in the \"{}\" environment", environment);
  return fmt::format(
      "To access your new Hyperdrive Config in your Worker, add the following snippet to your "
      "configuration file{}:",
      where);
}

std::string snippet(Format format, std::string_view binding, std::string_view id) {
  const bool toml = format == Format::kToml;
  const Writer writer{format, {}, toml ? " = " : ": ", " "};
  const Fields fields = fields_of(binding, id, {});
  if (!toml) {
    return "{\n  \"hyperdrive\": [\n    " + writer.block_object(fields, "    ", "      ") +
           "\n  ]\n}";
  }
  std::string text = "[[hyperdrive]]\n";
  for (const auto& [key, value] : fields) text += writer.field(key, value) + "\n";
  return text;
}

}  // namespace hyperdrive::core::wrangler
