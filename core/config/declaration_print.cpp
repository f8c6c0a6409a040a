// `export`: configs as a file for `apply`.
#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/config/declaration.hpp"
#include "core/config/json.hpp"
#include "core/config/json_writers.hpp"
#include "core/config/public_shape.hpp"
#include "core/config/text.hpp"

namespace hyperdrive::core {
namespace {

using Json = nlohmann::ordered_json;

template <class Writer>
void write_local(const LocalSettings& local, Writer& out) {
  bool opened = false;
  each_changed_setting(local, [&](std::string_view key, const Json& value) {
    if (!opened) out.open("local");
    opened = true;
    out.value(key, value);
  });
  if (opened) out.close();
}

/// What a file for `apply` says of a config: the public shape without what the registry gives, with
/// what Cloudflare does not know.
template <class Writer>
void write_declared(const Config& config, Writer& out) {
  Origin origin = config.origin;
  origin.scheme_text.clear();
  out.field("name", config.name);
  out.open("origin");
  write_origin_fields(origin, out);
  if (!origin.application_name.empty()) out.field("application_name", origin.application_name);
  out.close();
  out.field("origin_connection_limit", config.origin_connection_limit);
  write_caching(config.caching, out);
  write_tls(config, out);
  write_local(config.local, out);
}

/// Text as TOML writes it: quotation marks, escapes, UTF-8 as it is.
void append_quoted(std::string_view value, std::string& text) {
  // Most are plain, and a stream for each of many costs.
  const auto is_plain = [](char c) {
    return c >= ' ' && c <= '~' && c != '"' && c != '\\' && c != '\'';
  };
  if (std::all_of(value.begin(), value.end(), is_plain)) {
    text += '"';
    text += value;
    text += '"';
    return;
  }
  std::ostringstream out;
  out << toml::toml_formatter{toml::value<std::string>(std::string(value))};
  text += out.str();
}

std::string toml_value(const Json& value) {
  std::string text;
  if (value.is_string()) {
    append_quoted(value.get_ref<const std::string&>(), text);
    return text;
  }
  if (!value.is_array()) return value.dump();
  text = "[";
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

/// Appends to a text. The fields of the config itself come before its tables.
class TomlWriter {
 public:
  explicit TomlWriter(std::string& text) : text_(text) {}

  void open(std::string_view key) {
    text_ += "\n[configs.";
    text_ += key;
    text_ += "]\n";
  }
  void close() {}
  void field(std::string_view key, std::string_view value) {
    name(key);
    append_quoted(value, text_);
    text_ += '\n';
  }
  void field(std::string_view key, bool value) { line(key, value ? "true" : "false"); }
  void field(std::string_view key, int value) { line(key, fmt::format_int(value).c_str()); }
  void value(std::string_view key, const Json& value) { line(key, toml_value(value)); }
  void line(std::string_view key, std::string_view value) {
    name(key);
    text_ += value;
    text_ += '\n';
  }

 private:
  void name(std::string_view key) {
    text_ += key;
    text_ += " = ";
  }

  std::string& text_;
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
  TomlWriter out(text);
  out.field("name", config.name);
  out.field("origin_connection_limit", config.origin_connection_limit);
  write_declared_origin(config, out);
  write_caching(config.caching, out);
  write_tls(config, out);
  write_local(config.local, out);
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
  for (const Config& config : configs) {
    JsonTreeWriter out(json["configs"].emplace_back(Json::object()));
    write_declared(config, out);
  }
  return json;
}

void append_declared_json(const Config& config, std::size_t indent, std::string& text) {
  JsonTextWriter out(text, indent);
  write_declared(config, out);
  out.close();
}

}  // namespace hyperdrive::core
