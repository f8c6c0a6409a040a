// `export`: configs as a file for `apply`.
#include <fmt/format.h>
#include <toml++/toml.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "core/config/declaration.hpp"
#include "core/config/json.hpp"
#include "core/config/text.hpp"

namespace hyperdrive::core {
namespace {

using Json = nlohmann::ordered_json;

Json declared_json(const Config& config) {
  // The public shape without what the registry gives, with what Cloudflare does not know.
  Json json = public_json(config);
  for (const char* key : {"id", "created_on", "modified_on"}) json.erase(key);
  json["origin"]["scheme"] = scheme_name(config.origin.scheme);
  if (!config.origin.application_name.empty())
    json["origin"]["application_name"] = config.origin.application_name;
  if (Json local = settings_json(config.local); !local.empty()) json["local"] = std::move(local);
  return json;
}

/// Text as TOML writes it: quotation marks, escapes, UTF-8 as it is.
std::string quoted(const std::string& text) {
  std::ostringstream out;
  out << toml::toml_formatter{toml::value<std::string>(text)};
  return out.str();
}

std::string toml_value(const Json& value) {
  if (value.is_string()) return quoted(value.get<std::string>());
  if (!value.is_array()) return value.dump();
  std::string text = "[";
  for (const Json& item : value) text += (text.size() > 1 ? ", " : "") + toml_value(item);
  return text + "]";
}

/// A name for the environment variable in the comment: `prod-db` → `PROD_DB_PASSWORD`.
std::string variable_name(const std::string& name) {
  std::string result;
  for (const char c : name) {
    const bool lower = c >= 'a' && c <= 'z';
    const bool kept = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    result.push_back(lower ? static_cast<char>(c - 'a' + 'A') : kept ? c : '_');
  }
  return result + "_PASSWORD";
}

std::string toml_of(const Config& config) {
  std::string text = "[[configs]]\n";
  std::string tables;
  const Json json = declared_json(config);
  for (const auto& [key, value] : json.items()) {
    if (!value.is_object()) {
      text += fmt::format("{} = {}\n", key, toml_value(value));
      continue;
    }
    tables += fmt::format("\n[configs.{}]\n", key);
    for (const auto& [name, item] : value.items())
      tables += fmt::format("{} = {}\n", name, toml_value(item));
    if (key == "origin")
      tables += fmt::format("# password = \"env:{}\"\n", variable_name(config.name));
  }
  return text + tables;
}

}  // namespace

std::string export_toml(std::span<const Config> configs) {
  std::string text =
      "# Written by `hyperdrive export`; `hyperdrive apply -f FILE` makes a registry like it.\n"
      "# Passwords are not in it. Where a config exists its stored one is kept; for a new one "
      "give\n"
      "# password = \"env:NAME\" or \"file:PATH\".\n"
      "version = 1\n";
  for (const Config& config : configs) text += "\n" + toml_of(config);
  return text;
}

Json export_json(std::span<const Config> configs) {
  Json json;
  json["version"] = 1;
  json["configs"] = Json::array();
  for (const Config& config : configs) json["configs"].push_back(declared_json(config));
  return json;
}

}  // namespace hyperdrive::core
