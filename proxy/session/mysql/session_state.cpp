#include "proxy/session/mysql/session_state.hpp"

#include <algorithm>
#include <array>
#include <iterator>

namespace hyperdrive::proxy::session::mysql {
namespace {

constexpr std::array<std::string_view, 6> kCharsets = {"names",
                                                       "character_set",
                                                       "character_set_client",
                                                       "character_set_connection",
                                                       "character_set_results",
                                                       "collation_connection"};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return out;
}

std::vector<Variable> charsets(const State* state) {
  std::vector<Variable> out;
  if (state == nullptr) return out;
  for (const Variable& variable : state->variables) {
    if (is_charset(variable.name)) out.push_back(variable);
  }
  return out;
}

void add(std::string& sql, std::string_view text) {
  sql += sql.empty() ? "SET " : ", ";
  sql += text;
}

/// Characters of these may hold bytes that look like quotes or backslashes; of the default that is
/// not known.
bool hides_ascii(std::string_view charset) {
  constexpr std::array<std::string_view, 6> kUnsafe = {"sjis", "cp932",   "gbk",
                                                       "big5", "gb18030", "default"};
  const std::string_view name = charset.substr(0, charset.find_first_of(" "));
  return std::find(kUnsafe.begin(), kUnsafe.end(), name) != kUnsafe.end();
}

}  // namespace

bool is_charset(std::string_view name) {
  return std::find(kCharsets.begin(), kCharsets.end(), name) != kCharsets.end();
}

const std::string* State::find(std::string_view name) const {
  for (const Variable& variable : variables) {
    if (variable.name == name) return &variable.value;
  }
  return nullptr;
}

sql::MysqlLexing State::lexing() const {
  sql::MysqlLexing lexing;
  if (const std::string* mode = find("sql_mode")) {
    const std::string words = lower(*mode);
    lexing.ansi_quotes = words.find("ansi") != std::string::npos;
    for (const std::string_view alias : {"db2", "maxdb", "mssql", "oracle", "postgresql"}) {
      if (words.find(alias) != std::string::npos) lexing.ansi_quotes = true;
    }
    lexing.no_backslash_escapes = words.find("no_backslash_escapes") != std::string::npos;
  }
  for (const Variable& variable : variables) {
    if (variable.name == "names" || variable.name == "character_set" ||
        variable.name == "character_set_client") {
      std::string value = variable.value;
      std::erase(value, '\'');
      lexing.unsafe_charset = hides_ascii(lower(value));
    }
  }
  return lexing;
}

bool same(const StateRef& a, const StateRef& b) { return a == b || (a && b && *a == *b); }

bool overrides(const Variable& variable, std::string_view other) {
  if (variable.name == other) return true;
  if (variable.name == "names" || variable.name == "character_set") return is_charset(other);
  return false;
}

StateRef with(const StateRef& state, Variable variable) {
  auto fresh = std::make_shared<State>(*state);
  std::erase_if(fresh->variables,
                [&](const Variable& known) { return overrides(variable, known.name); });
  fresh->variables.push_back(std::move(variable));
  return same(state, fresh) ? state : StateRef(std::move(fresh));
}

StateRef without(const StateRef& state, std::string_view name) {
  const Variable gone{std::string(name), {}};
  const auto hit = [&](const Variable& known) { return overrides(gone, known.name); };
  if (std::none_of(state->variables.begin(), state->variables.end(), hit)) return state;
  auto fresh = std::make_shared<State>(*state);
  std::erase_if(fresh->variables, hit);
  return fresh;
}

StateRef with_database(const StateRef& state, std::string_view database) {
  if (state->database == database) return state;
  auto fresh = std::make_shared<State>(*state);
  fresh->database = database;
  return fresh;
}

StateRef read_as(const StateRef& state, const StateRef& reading) {
  const auto decides = [](const Variable& variable) {
    return is_charset(variable.name) || variable.name == "sql_mode";
  };
  auto fresh = std::make_shared<State>(*state);
  std::erase_if(fresh->variables, decides);
  std::copy_if(reading->variables.begin(), reading->variables.end(),
               std::back_inserter(fresh->variables), decides);
  const std::string* mode = state->find("sql_mode");
  const std::string* other = reading->find("sql_mode");
  const bool same_mode = mode == other || (mode != nullptr && other != nullptr && *mode == *other);
  return same_mode && charsets(state.get()) == charsets(reading.get()) ? state : fresh;
}

namespace {

/// As an item of a SET list.
std::string item(const Variable& variable, const Baseline& baseline) {
  if (variable.name == "names") return "NAMES " + variable.value;
  if (variable.name == "character_set") return "CHARACTER SET " + variable.value;
  std::string name = variable.name;
  if (!baseline.has_tx_isolation && name == "tx_isolation") name = "transaction_isolation";
  if (!baseline.has_tx_isolation && name == "tx_read_only") name = "transaction_read_only";
  return "SESSION " + name + " = " + variable.value;
}

constexpr std::string_view kTracking = "session_track_state_change";

std::string default_of(const std::string& name, const Baseline& baseline) {
  if (name == kTracking) return "ON";
  if (name == "sql_mode" && baseline.ignore_space) {
    return "CONCAT(@@global.sql_mode, ',IGNORE_SPACE')";
  }
  return "DEFAULT";
}

}  // namespace

std::string difference(const StateRef& from, const StateRef& to, const Baseline& baseline) {
  std::string sql;
  if (!from || charsets(from.get()) != charsets(to.get())) {
    const auto wanted = charsets(to.get());
    const bool sets_all = !wanted.empty() && (wanted.front().name == "names" ||
                                              wanted.front().name == "character_set");
    if (!sets_all) {
      add(sql, "NAMES " + baseline.names);
    }
    for (const Variable& variable : wanted) add(sql, item(variable, baseline));
  }
  if (from) {
    for (const Variable& variable : from->variables) {
      if (is_charset(variable.name) || to->find(variable.name) != nullptr) continue;
      add(sql, item({variable.name, default_of(variable.name, baseline)}, baseline));
    }
  }
  for (const Variable& variable : to->variables) {
    if (is_charset(variable.name)) continue;
    const std::string* now = from ? from->find(variable.name) : nullptr;
    if (now == nullptr || *now != variable.value) add(sql, item(variable, baseline));
  }
  if (!from && baseline.tracks_state && to->find(kTracking) == nullptr) {
    add(sql, item({std::string(kTracking), "ON"}, baseline));
  }
  if (!from && baseline.ignore_space && to->find("sql_mode") == nullptr) {
    add(sql, item({"sql_mode", default_of("sql_mode", baseline)}, baseline));
  }
  return sql;
}

}  // namespace hyperdrive::proxy::session::mysql
