#include <array>

#include "proxy/sql/statement_reader.hpp"

namespace hyperdrive::proxy::sql {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return result;
}

/// The settings whose elements Postgres quotes as identifiers (GUC_LIST_QUOTE).
bool is_list_of_names(std::string_view setting) {
  constexpr std::array<std::string_view, 6> kLists = {"search_path",
                                                      "temp_tablespaces",
                                                      "session_preload_libraries",
                                                      "local_preload_libraries",
                                                      "shared_preload_libraries",
                                                      "unix_socket_directories"};
  for (const std::string_view list : kLists) {
    if (setting == list) return true;
  }
  return false;
}

std::string quote_name(std::string_view name) {
  bool plain = !name.empty() && !(name.front() >= '0' && name.front() <= '9');
  for (const char c : name) {
    plain = plain && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_');
  }
  if (plain) return std::string(name);
  std::string quoted = "\"";
  for (const char c : name) {
    quoted += c;
    if (c == '"') quoted += c;
  }
  return quoted + '"';
}

/// An integer as it stands in the text: libpg_query 15-4.0.0 leaves negative ones out of its JSON.
std::string integer_at(std::string_view text, int location) {
  std::string digits;
  for (std::size_t i = static_cast<std::size_t>(location); i < text.size(); ++i) {
    const char c = text[i];
    if ((c >= '0' && c <= '9') || (c == '-' && digits.empty())) {
      digits += c;
    } else if (c != ' ' || (digits != "-" && !digits.empty())) {
      break;
    }
  }
  return digits;
}

std::string value_of(Node argument, bool names, std::string_view text) {
  if (const Node cast = argument.as("TypeCast")) {
    // SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE
    return "INTERVAL '" + std::string(constant_string(cast["arg"].as("A_Const")).value_or("")) +
           "'";
  }
  const Node constant = argument.as("A_Const");
  if (const auto string = constant_string(constant)) {
    return names ? quote_name(*string) : std::string(*string);
  }
  if (const Node number = constant["fval"]) return std::string(number["fval"].text());
  if (const Node truth = constant["boolval"]) return truth["boolval"].is_true() ? "true" : "false";
  const std::string_view digits = constant["ival"]["ival"].text();
  return digits.empty() ? integer_at(text, constant["location"].number()) : std::string(digits);
}

std::string joined(Node arguments, std::string_view setting, std::string_view text) {
  std::string value;
  for (const Node argument : arguments) {
    if (!value.empty()) value += ", ";
    value += value_of(argument, is_list_of_names(setting), text);
  }
  return value;
}

std::string on_or_off(std::string_view digits) { return digits == "1" ? "on" : "off"; }

/// SET TRANSACTION and SET SESSION CHARACTERISTICS AS TRANSACTION.
std::vector<Setting> transaction_settings(Node set, bool session) {
  std::vector<Setting> settings;
  for (const Node element : set["args"]) {
    const Node option = element.as("DefElem");
    Setting setting;
    setting.name = std::string(session ? "default_" : "") + std::string(option["defname"].text());
    const Node constant = option["arg"].as("A_Const");
    setting.value = constant["sval"] ? std::string(*constant_string(constant))
                                     : on_or_off(constant["ival"]["ival"].text());
    setting.is_local = !session;
    settings.push_back(std::move(setting));
  }
  return settings;
}

}  // namespace

std::vector<Setting> read_settings(Node set, std::string_view text) {
  const std::string_view kind = set["kind"].text();
  if (kind == "VAR_RESET_ALL") return {};
  if (kind == "VAR_SET_MULTI") {
    const std::string_view what = set["name"].text();
    if (what == "TRANSACTION SNAPSHOT") {
      return {{"transaction_snapshot",
               std::string(constant_string(set["args"].first().as("A_Const")).value_or("")), false,
               true}};
    }
    return transaction_settings(set, what == "SESSION CHARACTERISTICS");
  }
  Setting setting;
  setting.name = lower(set["name"].text());
  setting.is_local = set["is_local"].is_true();
  setting.is_default = kind == "VAR_SET_DEFAULT" || kind == "VAR_RESET";
  if (kind == "VAR_SET_VALUE") setting.value = joined(set["args"], setting.name, text);
  return {setting};
}

}  // namespace hyperdrive::proxy::sql
