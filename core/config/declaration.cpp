#include "core/config/declaration.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "core/base/file.hpp"
#include "core/config/connection_string.hpp"
#include "core/config/declaration_value.hpp"
#include "core/config/json.hpp"
#include "core/config/text.hpp"
#include "core/config/validate.hpp"

namespace hyperdrive::core {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kEnvironment = "env:";
constexpr std::string_view kFile = "file:";

// --- text to JSON
// ---------------------------------------------------------------------------------

Result<Json> parse_toml(std::string_view text) {
  try {
    std::ostringstream out;
    out << toml::json_formatter{toml::parse(text)};
    return Json::parse(out.str());
  } catch (const toml::parse_error& error) {
    // The description may quote the file, but a declaration holds no secrets.
    return usage(fmt::format("The file is not valid TOML at line {}, column {}: {}.",
                             error.source().begin.line, error.source().begin.column,
                             error.description()));
  } catch (const Json::exception&) {
    return usage("The file has a value that no setting takes (a date, or a number without end).");
  }
}

Result<Json> parse_json(std::string_view text) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    const std::string_view before = text.substr(0, error.byte > 0 ? error.byte - 1 : 0);
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const std::size_t begin = before.rfind('\n');
    return usage(
        fmt::format("The file is not valid JSON at line {}, column {}.", line,
                    before.size() - (begin == std::string_view::npos ? 0 : begin + 1) + 1));
  } catch (const Json::exception&) {
    return usage("The file has a number that is too large.");
  }
}

/// The array of configs, which may also be the whole document.
Result<Json> configs_of(Json document) {
  if (document.is_array()) return document;
  if (!document.is_object()) return usage("The file declares no table of configs.");
  const char* key = document.contains("config") ? "config" : "configs";
  for (const auto& [name, unused] : document.items())
    if (name != key && name != "version")
      return usage(fmt::format("There is no key '{}' at the top of the file.", name),
                   "Declare each config under [[configs]].");
  if (document.contains("version") && document["version"] != 1)
    return usage("The file's version is not 1.", "Update hyperdrive.");
  if (!document.contains(key)) return Json::array();
  if (!document[key].is_array())
    return usage(fmt::format("'{}' is not a list of configs.", key),
                 "Declare each config under [[configs]].");
  return document[key];
}

// --- JSON to configs
// ------------------------------------------------------------------------------

Secret referenced(DeclaredTable& table, const char* key, const ResolveSecret& resolve) {
  const std::string reference = table.text(key);
  if (reference.empty()) return Secret();
  if (!reference.starts_with(kEnvironment) && !reference.starts_with(kFile)) {
    table.fault(key, "holds a secret itself.",
                "Refer to it: \"env:NAME\" or \"file:PATH\". (It is not repeated here.)");
    return Secret();
  }
  auto secret = resolve(reference);
  if (secret && secret->empty())
    table.fault(key, fmt::format("refers to {}, which is empty.", reference));
  if (!secret)
    table.fault(key, fmt::format("refers to {}: {}", reference, secret.error().message),
                secret.error().hint);
  return secret ? std::move(*secret) : Secret();
}

Result<void> read_origin(DeclaredTable table, Config& config, const ResolveSecret& resolve) {
  Origin& origin = config.origin;
  if (const std::string scheme = table.text("scheme"); !scheme.empty()) {
    auto parsed = parse_scheme(scheme);
    if (!parsed)
      table.fault("scheme", fmt::format("is '{}'.", scheme), parsed.error().hint);
    else
      origin.scheme = *parsed;
  }
  origin.host = table.text("host");
  const auto port = table.integer("port", 1, 65535);
  origin.database = table.text("database");
  origin.user = table.text("user");
  origin.service_id = table.text("service_id");
  origin.access_client_id = table.text("access_client_id");
  origin.application_name = table.text("application_name");
  origin.password = referenced(table, "password", resolve);
  origin.access_client_secret = referenced(table, "access_client_secret", resolve);
  const bool reached_by_port = origin.service_id.empty() && origin.access_client_id.empty();
  if (port)
    origin.port = static_cast<std::uint16_t>(*port);
  else if (reached_by_port)
    origin.port = default_port(origin.scheme);
  return table.finish();
}

Result<void> read_connection_string(DeclaredTable& table, Config& config,
                                    const ResolveSecret& resolve) {
  const Secret text = referenced(table, "connection_string", resolve);
  if (text.empty()) return {};
  if (table.has("origin")) {
    table.fault("connection_string", "and origin exclude each other.");
    return {};
  }
  auto parsed = parse_connection_string(text.reveal());
  if (!parsed) return tl::unexpected(parsed.error());
  config.origin = std::move(parsed->origin);
  config.tls.mode = parsed->ssl_mode;
  if (parsed->connect_timeout) config.local.connect_timeout = *parsed->connect_timeout;
  if (!parsed->ssl_root_certificate.empty())
    table.fault("connection_string", "has an sslrootcert, which is not used here.",
                "Upload it with `hyperdrive cert upload certificate-authority` and name it in "
                "mtls.ca_certificate_id.");
  return {};
}

Result<void> read_caching(DeclaredTable table, Caching& caching) {
  caching.disabled = table.boolean("disabled").value_or(false);
  if (const auto age = table.integer("max_age", 0, kMaxMaxAge))
    caching.max_age = static_cast<int>(*age);
  if (const auto swr = table.integer("stale_while_revalidate", 0, INT_MAX))
    caching.stale_while_revalidate = static_cast<int>(*swr);
  return table.finish();
}

Result<void> read_tls(DeclaredTable table, Config& config) {
  if (const std::string mode = table.text("sslmode"); !mode.empty()) {
    auto parsed = parse_ssl_mode(mode, config.origin.scheme);
    if (!parsed)
      table.fault("sslmode", fmt::format("is '{}'.", mode), parsed.error().hint);
    else
      config.tls.mode = *parsed;
  }
  config.tls.ca_certificate_id = table.text("ca_certificate_id");
  config.tls.mtls_certificate_id = table.text("mtls_certificate_id");
  return table.finish();
}

Result<void> read_local(const Json* json, const std::string& place, Declared& declared,
                        const ResolveSecret& resolve) {
  if (json == nullptr) return {};
  LocalSettings& local = declared.config.local;
  Json rest = *json;
  rest.erase("cache_password");
  if (auto read = read_settings(local, rest); !read) {
    Error error = read.error();
    error.message = fmt::format("{}: {}", place, error.message);
    return tl::unexpected(std::move(error));
  }
  declared.keeps_local_port = local.local_port == 0;
  DeclaredTable table(json, place);
  if (Secret password = referenced(table, "cache_password", resolve); !password.empty())
    local.cache_password = std::move(password);
  for (const auto& [key, unused] : rest.items()) table.ignore(key.c_str());
  return table.finish();
}

Result<Declared> read_declared(const Json& json, std::size_t index, const ResolveSecret& resolve) {
  Declared declared;
  Config& config = declared.config;
  DeclaredTable table(&json, fmt::format("configs[{}]", index));
  config.name = table.text("name");
  const std::string place = fmt::format("configs[{}] '{}'", index, config.name);
  // `get` prints these; who pastes its output here means no harm.
  for (const char* key : {"id", "created_on", "modified_on"}) table.ignore(key);
  if (auto read = read_connection_string(table, config, resolve); !read)
    return tl::unexpected(Error{fmt::format("{}: {}", place, read.error().message),
                                read.error().hint, code::kNone, Exit::kUsage});
  if (!table.has("connection_string"))
    if (auto read = read_origin({table.table("origin"), place + ": origin"}, config, resolve);
        !read)
      return tl::unexpected(read.error());
  table.ignore("origin");
  if (auto read = read_caching({table.table("caching"), place + ": caching"}, config.caching);
      !read)
    return tl::unexpected(read.error());
  if (auto read = read_tls({table.table("mtls"), place + ": mtls"}, config); !read)
    return tl::unexpected(read.error());
  if (auto read = read_local(table.table("local"), place + ": local", declared, resolve); !read)
    return tl::unexpected(read.error());
  if (const auto limit = table.integer("origin_connection_limit", 1, kMaxOriginConnectionLimit))
    config.origin_connection_limit = static_cast<int>(*limit);
  if (auto finished = table.finish(); !finished) return tl::unexpected(finished.error());
  if (auto valid = validate(config); !valid)
    return tl::unexpected(Error{fmt::format("{}: {}", place, valid.error().message),
                                valid.error().hint, code::kNone, Exit::kUsage});
  return declared;
}

}  // namespace

DeclarationFormat declaration_format(std::string_view file_name) {
  return file_name.ends_with(".json") ? DeclarationFormat::kJson : DeclarationFormat::kToml;
}

Result<std::vector<Declared>> read_declarations(std::string_view text, DeclarationFormat format,
                                                const ResolveSecret& resolve) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  auto document = format == DeclarationFormat::kJson ? parse_json(text) : parse_toml(text);
  if (!document) return tl::unexpected(document.error());
  auto configs = configs_of(std::move(*document));
  if (!configs) return tl::unexpected(configs.error());
  std::vector<Declared> result;
  std::set<std::string> names;
  for (std::size_t i = 0; i < configs->size(); ++i) {
    auto declared = read_declared((*configs)[i], i, resolve);
    if (!declared) return tl::unexpected(declared.error());
    if (!names.insert(declared->config.name).second)
      return usage(
          fmt::format("configs[{}]: the name '{}' is declared twice.", i, declared->config.name));
    result.push_back(std::move(*declared));
  }
  return result;
}

Result<Secret> resolve_secret_reference(std::string_view reference, const std::string& folder) {
  if (reference.starts_with(kEnvironment)) {
    const std::string name(reference.substr(kEnvironment.size()));
    const char* value = std::getenv(name.c_str());
    if (value == nullptr)
      return usage(fmt::format("the environment variable {} is not set.", name),
                   "Set it, or refer to a file: \"file:PATH\".");
    return Secret(value);
  }
  const std::filesystem::path path = std::filesystem::path(folder) / reference.substr(kFile.size());
  auto text = read_file(path, 1u << 20);
  if (!text) return tl::unexpected(text.error());
  if (text->ends_with('\n')) text->pop_back();
  if (text->ends_with('\r')) text->pop_back();
  return Secret(std::move(*text));
}

}  // namespace hyperdrive::core
