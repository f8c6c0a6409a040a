// Configs as JSON: Cloudflare's public shape, `get --all`, and the document a proxy starts from.
//
// Only `launch_json` contains secrets; it goes into an inherited pipe or the admin socket, nowhere
// else.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/config/config.hpp"

namespace hyperdrive::core {

/// Field for field what Cloudflare answers (order of keys too); no secret.
nlohmann::ordered_json public_json(const Config& config);
/// Appends the text of `public_json(config)` as dump(2) prints it, lines after the first standing
/// `indent` columns in. Many times faster: for lists.
void append_public_json(const Config& config, std::size_t indent, std::string& text);
/// `get --all`: the public shape, then `local`: every setting as `{"value":…,"default":…}`; no
/// secret.
nlohmann::ordered_json all_json(const Config& config);

/// Local settings that differ from their default, as stored and exported; no secret.
nlohmann::ordered_json settings_json(const LocalSettings& settings);
/// The same one by one.
using SettingVisit = std::function<void(std::string_view key, const nlohmann::ordered_json&)>;
void each_changed_setting(const LocalSettings& local, const SettingVisit& visit);
/// The reverse, onto `settings`; unknown keys and bad values are errors that name the key.
Result<void> read_settings(LocalSettings& settings, const nlohmann::ordered_json& json);

/// With all secrets: for the proxy's pipe and POST /v1/reload.
Secret launch_json(const Launch& launch);
Result<Launch> parse_launch(std::string_view json);

/// What the proxy writes on its ready descriptor, one line: `{"ready":true,"port":15432}` or
/// `{"ready":false,"error":{"code":0,"message":"…","hint":"…","reason":"port_in_use"}}`.
struct Ready {
  bool ready = false;
  std::uint16_t port = 0;
  Error error;
  std::string reason;  ///< `port_in_use`, `config`, or empty
};
std::string ready_line(const Ready& ready);
Result<Ready> parse_ready(std::string_view line);

/// `{"error":{"code":…,"message":…,"hint":…}}`, what `--json` prints on standard error.
nlohmann::ordered_json error_json(const Error& error);

}  // namespace hyperdrive::core
