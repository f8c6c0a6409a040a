// The SQL that brings a connection's settings to what a session wants.
#include <algorithm>
#include <charconv>
#include <iterator>

#include "proxy/session/postgres/setting_text.hpp"
#include "proxy/session/postgres/settings.hpp"

namespace hyperdrive::proxy::session::postgres {
namespace {

constexpr std::string_view kApplicationName = "application_name";

}  // namespace

std::string quote_literal(std::string_view text) {
  // An E'' string, so that it means the same whatever standard_conforming_strings says.
  std::string out = "E'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += c;
    out += c;
  }
  return out + '\'';
}

std::string quote_identifier(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += c;
    out += c;
  }
  return out + '"';
}

namespace {

/// `a.b` names a custom setting: each part is an identifier of its own.
std::string quote_setting(std::string_view name) {
  const auto dot = name.find('.');
  if (dot == std::string_view::npos) return quote_identifier(name);
  return quote_identifier(name.substr(0, dot)) + '.' + quote_identifier(name.substr(dot + 1));
}

std::string hex(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

/// As Postgres does, before 16 and since.
std::string without_others_than_ascii(std::string_view name, bool spells_them) {
  std::string out;
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x80) {
      out += c;
    } else {
      out += spells_them ? "\\x" + hex({&c, 1}) : "?";
    }
  }
  return out;
}

std::string name_for_any_version(std::string_view name) {
  return "CASE WHEN pg_catalog.current_setting('server_version_num')::pg_catalog.int4"
         " OPERATOR(pg_catalog.<) 160000 THEN " +
         quote_literal(without_others_than_ascii(name, false)) + " ELSE " +
         quote_literal(without_others_than_ascii(name, true)) + " END";
}

/// Bytes of a startup packet are in the encoding of the database, whatever client_encoding says;
/// the text of a statement is in the one that the connection's last client had.
std::string value_of(std::string_view name, std::string_view value) {
  if (is_ascii(value)) return quote_literal(value);
  if (name == kApplicationName) return name_for_any_version(value);
  return "pg_catalog.convert_from(pg_catalog.decode('" + hex(value) +
         "','hex'),pg_catalog.getdatabaseencoding())";
}

/// Whether DateStyle's value says both how dates are written and in which order they are read: what
/// it leaves out stays as it is, and that may be what another client has left there.
bool is_whole_date_style(std::string_view value) {
  bool style = false, order = false;
  while (!value.empty()) {
    const auto end = std::min(value.find(','), value.size());
    std::string word;
    for (const char c : value.substr(0, end)) {
      if (c != ' ') word += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    }
    value.remove_prefix(std::min(end + 1, value.size()));
    style |= word == "iso" || word == "sql" || word == "german" || word.starts_with("postgres");
    order |= word == "ymd" || word == "dmy" || word == "mdy" || word == "us" || word == "german" ||
             word.starts_with("euro") || word.starts_with("noneuro");
  }
  return style && order;
}

bool is_set_in_part(std::string_view name, std::string_view value) {
  return name == "datestyle" && !is_whole_date_style(value);
}

void append_set(std::string& sql, std::string_view name, std::string_view value) {
  if (is_set_in_part(name, value)) sql += "RESET " + quote_setting(name) + ';';
  sql += "SELECT pg_catalog.set_config(" + quote_literal(name) + ',' + value_of(name, value) +
         ",false);";
}

}  // namespace

std::string settings_diff(const SettingsRef& has, const SettingsRef& wants,
                          const std::vector<std::string>& dirty) {
  std::vector<std::string_view> reset;
  std::vector<const SettingSet::Pair*> set;
  const auto is_dirty = [&](std::string_view name) {
    return std::find(dirty.begin(), dirty.end(), name) != dirty.end();
  };
  const auto wanted = [&](std::string_view name) { return wants ? wants->find(name) : nullptr; };
  for (const std::string& name : dirty) {
    if (wanted(name) == nullptr) reset.push_back(name);
  }
  if (has) {
    for (const auto& [name, value] : has->pairs()) {
      if (wanted(name) == nullptr && !is_dirty(name)) reset.push_back(name);
    }
  }
  if (wants) {
    for (const auto& pair : wants->pairs()) {
      const std::string* now = has ? has->find(pair.first) : nullptr;
      if (now == nullptr || *now != pair.second || is_dirty(pair.first)) set.push_back(&pair);
    }
  }
  // Whoever the connection is now may not be allowed what follows: first become ourselves again;
  // last become whom the session wants to be.
  std::string sql;
  const auto identity_changes =
      std::any_of(reset.begin(), reset.end(), is_identity) ||
      (!(reset.empty() && set.empty()) && has &&
       (has->find("role") != nullptr || has->find("session_authorization") != nullptr)) ||
      is_dirty("role") || is_dirty("session_authorization");
  if (identity_changes) sql += "RESET SESSION AUTHORIZATION;RESET ROLE;";
  for (const std::string_view name : reset) {
    if (!is_identity(name)) sql += "RESET " + quote_setting(name) + ';';
  }
  for (const auto* pair : set) {
    if (!is_identity(pair->first)) append_set(sql, pair->first, pair->second);
  }
  for (const std::string_view name : {"session_authorization", "role"}) {
    const std::string* value = wanted(name);
    const std::string* now = has && !identity_changes ? has->find(name) : nullptr;
    if (value != nullptr && (now == nullptr || *now != *value)) append_set(sql, name, *value);
  }
  return sql;
}

namespace {

/// Names in a list that SET would take for one name if they stood in a literal. Only what needs no
/// thought: words and quoted words.
std::optional<std::string> quoted_list(std::string_view value) {
  std::string out;
  while (true) {
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    const bool quoted = !value.empty() && value.front() == '"';
    if (quoted) value.remove_prefix(1);
    const auto end =
        quoted ? value.find('"')
               : std::min(value.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789"),
                          value.size());
    if (end == std::string_view::npos || end == 0) return std::nullopt;
    out += (out.empty() ? "" : ",") + quote_identifier(value.substr(0, end));
    value.remove_prefix(end + (quoted ? 1 : 0));
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    if (value.empty()) return out;
    if (value.front() != ',') return std::nullopt;
    value.remove_prefix(1);
  }
}

std::optional<std::string> set_statement(std::string_view name, std::string_view value) {
  constexpr std::string_view kLists[] = {"temp_tablespaces", "local_preload_libraries",
                                         "session_preload_libraries"};
  if (!is_ascii(value) ||
      std::find(std::begin(kLists), std::end(kLists), name) != std::end(kLists)) {
    return std::nullopt;
  }
  const auto to = name == "search_path" ? quoted_list(value) : quote_literal(value);
  if (!to) return std::nullopt;
  return "SET " + quote_setting(name) + " TO " + *to;
}

}  // namespace

std::optional<std::vector<std::string>> settings_statements(const SettingsRef& has,
                                                            const SettingsRef& wants,
                                                            const std::vector<std::string>& dirty) {
  const auto wanted = [&](std::string_view name) { return wants && wants->find(name) != nullptr; };
  if (!std::all_of(dirty.begin(), dirty.end(), wanted)) return std::nullopt;
  if (has && !std::all_of(has->pairs().begin(), has->pairs().end(),
                          [&](const auto& pair) { return wanted(pair.first); })) {
    return std::nullopt;
  }
  std::vector<std::string> statements, whom;
  if (!wants) return statements;
  for (const auto& [name, value] : wants->pairs()) {
    const std::string* now = has ? has->find(name) : nullptr;
    const bool is_dirty = std::find(dirty.begin(), dirty.end(), name) != dirty.end();
    if (now != nullptr && *now == value && !is_dirty) continue;
    auto statement = set_statement(name, value);
    if (!statement) return std::nullopt;
    if (is_set_in_part(name, value)) statements.push_back("RESET " + quote_setting(name));
    // Another role may not be allowed the others.
    (is_identity(name) ? whom : statements).push_back(std::move(*statement));
  }
  std::ranges::reverse(whom);  // the session's user comes before its role
  std::ranges::move(whom, std::back_inserter(statements));
  return statements;
}

std::string cleaned_name(std::string_view name, std::string_view server_version) {
  int major = 0;
  std::from_chars(server_version.data(), server_version.data() + server_version.size(), major);
  return without_others_than_ascii(name, major >= 16);
}

}  // namespace hyperdrive::proxy::session::postgres
