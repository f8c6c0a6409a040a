// `export`: configs as a file for `apply`.
#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/config/declaration.hpp"
#include "core/config/json.hpp"
#include "core/config/public_shape.hpp"
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
  // Most are plain, and a stream for each of many costs.
  const auto is_plain = [](char c) {
    return c >= ' ' && c <= '~' && c != '"' && c != '\\' && c != '\'';
  };
  if (std::all_of(text.begin(), text.end(), is_plain)) return '"' + text + '"';
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

/// Fields of the config itself first, then its tables, in the order in which they are written.
class TomlWriter {
 public:
  void open(std::string_view key) {
    tables_ += "\n[configs.";
    tables_ += key;
    tables_ += "]\n";
    inside_ = true;
  }
  void close() { inside_ = false; }
  void field(std::string_view key, const std::string& value) { line(key, quoted(value)); }
  void field(std::string_view key, std::string_view value) {
    line(key, quoted(std::string(value)));
  }
  void field(std::string_view key, bool value) { line(key, value ? "true" : "false"); }
  void field(std::string_view key, int value) { line(key, std::to_string(value)); }
  void line(std::string_view key, std::string_view value) {
    std::string& text = inside_ ? tables_ : fields_;
    text += key;
    text += " = ";
    text += value;
    text += '\n';
  }
  void append_to(std::string& text) const { (text += fields_) += tables_; }

 private:
  std::string fields_;
  std::string tables_;
  bool inside_ = false;
};

void write_declared_origin(const Config& config, TomlWriter& out) {
  Origin origin = config.origin;
  origin.scheme_text.clear();
  out.open("origin");
  write_origin_fields(origin, out);
  if (!origin.application_name.empty()) out.field("application_name", origin.application_name);
  out.line("# password", fmt::format("\"env:{}\"", variable_name(config.name)));
  out.close();
}

}  // namespace

std::string_view export_heading() {
  return "# Written by `hyperdrive export`; `hyperdrive apply -f FILE` makes a registry like it.\n"
         "# Passwords are not in it. Where a config exists its stored one is kept; for a new one "
         "give\n"
         "# password = \"env:NAME\" or \"file:PATH\".\n"
         "version = 1\n";
}

void append_toml(const Config& config, std::string& text) {
  text += "\n[[configs]]\n";
  TomlWriter out;
  out.field("name", config.name);
  out.field("origin_connection_limit", config.origin_connection_limit);
  write_declared_origin(config, out);
  write_caching(config.caching, out);
  write_tls(config, out);
  if (const Json local = settings_json(config.local); !local.empty()) {
    out.open("local");
    for (const auto& [name, value] : local.items()) out.line(name, toml_value(value));
    out.close();
  }
  out.append_to(text);
}

std::string export_toml(std::span<const Config> configs) {
  std::string text(export_heading());
  for (const Config& config : configs) append_toml(config, text);
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
