#include "core/config/json.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/config/json_writers.hpp"
#include "core/config/public_shape.hpp"
#include "core/config/settings.hpp"
#include "core/config/text.hpp"

namespace hyperdrive::core {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> lines(std::string_view text) {
  std::vector<std::string> result;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    result.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

/// The text form of a setting as a JSON value of its kind.
Json typed(const Setting& setting, const std::string& text) {
  switch (setting.kind) {
    case SettingKind::kInteger:
      return std::stoll(text);
    case SettingKind::kNumber:
      return std::stod(text);
    case SettingKind::kBoolean:
      return text == "true";
    case SettingKind::kList:
      return lines(text);
    default:
      return text;
  }
}

/// The reverse; nothing when the JSON value has no such form.
std::optional<std::string> as_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  if (value.is_number()) return value.dump();
  if (!value.is_array()) return std::nullopt;
  std::string text;
  for (const Json& item : value) {
    if (!item.is_string()) return std::nullopt;
    text += (text.empty() ? "" : "\n") + item.get<std::string>();
  }
  return text;
}

}  // namespace

Json public_json(const Config& config) {
  Json json;
  JsonTreeWriter out(json);
  write_public(config, out);
  return json;
}

void append_public_json(const Config& config, std::size_t indent, std::string& text) {
  JsonTextWriter out(text, indent);
  write_public(config, out);
  out.close();
}

Json all_json(const Config& config) {
  Config full = config;
  if (!full.caching.disabled) {
    full.caching.max_age = config.caching.max_age.value_or(kDefaultMaxAge);
    full.caching.stale_while_revalidate =
        config.caching.stale_while_revalidate.value_or(kDefaultStaleWhileRevalidate);
  }
  full.tls.mode = effective_ssl_mode(config);
  Json json = public_json(full);
  if (!config.remote_id.empty()) json["remote_id"] = config.remote_id;
  json["application_name"] =
      config.origin.application_name.empty() ? "Hyperdrive" : config.origin.application_name;
  Json local;
  for (const Setting& setting : settings())
    local[std::string(setting.key)] = {{"value", typed(setting, setting.get(config.local))},
                                       {"default", typed(setting, default_text(setting))}};
  json["local"] = std::move(local);
  return json;
}

void each_changed_setting(const LocalSettings& local, const SettingVisit& visit) {
  static const LocalSettings defaults;
  for (const Setting& setting : settings())
    if (!setting.same(local, defaults)) visit(setting.key, typed(setting, setting.get(local)));
}

Json settings_json(const LocalSettings& local) {
  Json json = Json::object();
  each_changed_setting(
      local, [&json](std::string_view key, const Json& value) { json[std::string(key)] = value; });
  return json;
}

Result<void> read_settings(LocalSettings& local, const Json& json) {
  if (!json.is_object()) return usage("The local settings are not a table of names and values.");
  for (const auto& [key, value] : json.items()) {
    const Setting* setting = find_setting(key);
    if (!setting)
      return usage(fmt::format("There is no setting '{}'.", key),
                   "docs/configuration.md lists all settings.");
    const auto text = as_text(value);
    if (!text)
      return usage(
          fmt::format("The setting '{}' has a value of a kind that it does not take.", key));
    if (auto set = setting->set(local, *text); !set) return set;
  }
  return {};
}

std::string ready_line(const Ready& ready) {
  Json json;
  json["ready"] = ready.ready;
  if (ready.ready) json["port"] = ready.port;
  if (!ready.ready) {
    json["error"] = error_json(ready.error)["error"];
    if (!ready.reason.empty()) json["error"]["reason"] = ready.reason;
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Ready> parse_ready(std::string_view line) {
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object() || !json.contains("ready") || !json["ready"].is_boolean())
    return fail("The proxy answered something else than whether it is ready.",
                "Check that hyperdrive and hyperdrive-proxy are of the same version.");
  Ready ready;
  ready.ready = json["ready"].get<bool>();
  const auto number = [](const Json& object, const char* key) {
    return object.contains(key) && object[key].is_number_integer() ? object[key].get<int>() : 0;
  };
  const auto text = [](const Json& object, const char* key) {
    return object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : "";
  };
  ready.port = static_cast<std::uint16_t>(number(json, "port"));
  if (ready.ready || !json.contains("error")) return ready;
  const Json& error = json["error"];
  ready.error =
      Error{text(error, "message"), text(error, "hint"), number(error, "code"), Exit::kError};
  ready.reason = text(error, "reason");
  return ready;
}

Json error_json(const Error& error) {
  Json json;
  json["error"]["code"] = error.code;
  json["error"]["message"] = error.message;
  if (!error.hint.empty()) json["error"]["hint"] = error.hint;
  return json;
}

}  // namespace hyperdrive::core
