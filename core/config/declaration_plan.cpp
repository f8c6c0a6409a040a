// What an apply would change.
#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "core/config/declaration.hpp"

namespace hyperdrive::core {
namespace {

using Json = nlohmann::ordered_json;
using Fields = std::vector<std::pair<std::string, std::string>>;

constexpr const char* kSealed = "(sealed)";

std::string shown(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// `{"origin":{"host":"h"}}` → `origin.host` = `h`.
void flatten(const Json& json, const std::string& prefix, Fields& fields) {
  for (const auto& [key, value] : json.items()) {
    const std::string name = prefix.empty() ? key : prefix + "." + key;
    if (value.is_object())
      flatten(value, name, fields);
    else
      fields.emplace_back(name, shown(value));
  }
}

Fields fields_of(const Config& config) {
  Fields fields;
  flatten(export_json({&config, 1})["configs"][0], "", fields);
  return fields;
}

void compare_secret(const char* field, const Secret& before, const Secret& after,
                    std::vector<Difference>& differences) {
  if (before == after) return;
  differences.push_back({field, before.empty() ? "" : kSealed,
                         after.empty()    ? ""
                         : before.empty() ? kSealed
                                          : "(another)"});
}

/// What the file does not say and the registry knows.
Config completed(const Declared& declared, const Config& present) {
  Config config = declared.config;
  config.id = present.id;
  config.created_on = present.created_on;
  config.modified_on = present.modified_on;
  config.remote_id = present.remote_id;
  config.local.local_user = present.local.local_user;
  config.local.local_password = present.local.local_password;
  if (declared.keeps_local_port) config.local.local_port = present.local.local_port;
  if (config.origin.password.empty()) config.origin.password = present.origin.password;
  if (config.origin.access_client_secret.empty() && !config.origin.access_client_id.empty())
    config.origin.access_client_secret = present.origin.access_client_secret;
  if (config.local.cache_password.empty() && config.local.cache_url == present.local.cache_url)
    config.local.cache_password = present.local.cache_password;
  return config;
}

}  // namespace

std::vector<Difference> differences_between(const Config& before, const Config& after) {
  std::vector<Difference> differences;
  const Fields old_fields = fields_of(before);
  const Fields new_fields = fields_of(after);
  const std::map<std::string, std::string> old_values(old_fields.begin(), old_fields.end());
  const std::map<std::string, std::string> new_values(new_fields.begin(), new_fields.end());
  for (const auto& [field, value] : new_fields) {
    const auto found = old_values.find(field);
    if (found == old_values.end())
      differences.push_back({field, "", value});
    else if (found->second != value)
      differences.push_back({field, found->second, value});
  }
  for (const auto& [field, value] : old_fields)
    if (!new_values.count(field)) differences.push_back({field, value, ""});
  compare_secret("origin.password", before.origin.password, after.origin.password, differences);
  compare_secret("origin.access_client_secret", before.origin.access_client_secret,
                 after.origin.access_client_secret, differences);
  compare_secret("local.cache_password", before.local.cache_password, after.local.cache_password,
                 differences);
  return differences;
}

Result<Plan> make_plan(std::span<const Declared> declared, std::span<const Config> present) {
  std::map<std::string_view, const Config*> by_name;
  for (const Config& config : present) by_name[config.name] = &config;
  Plan plan;
  for (const Declared& wanted : declared) {
    const auto found = by_name.find(wanted.config.name);
    PlannedStep step;
    if (found == by_name.end()) {
      if (wanted.config.origin.password.empty())
        return usage(fmt::format("The config '{}' is new and has no password.", wanted.config.name),
                     "Give origin.password = \"env:NAME\" or \"file:PATH\".");
      step.action = PlannedAction::kCreate;
      step.config = wanted.config;
    } else {
      step.config = completed(wanted, *found->second);
      step.differences = differences_between(*found->second, step.config);
      step.action = step.differences.empty() ? PlannedAction::kKeep : PlannedAction::kUpdate;
      by_name.erase(found);
    }
    plan.steps.push_back(std::move(step));
  }
  for (const Config& config : present)
    if (by_name.count(config.name)) plan.undeclared.push_back(config);
  return plan;
}

}  // namespace hyperdrive::core
