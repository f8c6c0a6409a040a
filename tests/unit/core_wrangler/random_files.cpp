#include "unit/core_wrangler/random_files.hpp"

#include <algorithm>

namespace hyperdrive::core::wrangler {
namespace {

std::string with_newlines(std::string text, const std::string& newline) {
  if (newline == "\n") return text;
  std::string result;
  for (const char c : text) result += c == '\n' ? newline : std::string(1, c);
  return result;
}

}  // namespace

std::string RandomFile::toml_line_end() {
  std::string end = pick({"", "", "", "  ", " # note", "\t# [[hyperdrive]] \"'", " #  "});
  return end + "\n" + pick({"", "", "", "", "\n", "# on its own  \n", "  # indented\n", "\n\n"});
}

std::string RandomFile::toml_key_values(const std::string& prefix, unsigned from) {
  std::string text;
  for (unsigned i = from, n = from + below(3); i < n; ++i) {
    text += pick({"", "", "  ", "\t"}) + prefix + "key" + std::to_string(i);
    text += pick({" = ", "=", "  =  "});
    text += pick({"1", "\"a # b\"", "'c:\\[x]'", "true", "1979-05-27 07:32:00", "[1, 2, [3]]",
                  "{ a = 1, b.c = \"}\" }", "\"\"\"\nmulti \\\n [[hyperdrive]]\n\"\"\"", "'''x'''",
                  "[\n  \"a\", # c\n  \"b\",\n]", "\"\\\"\\u00e9\"", "[]", "{}"});
    text += toml_line_end();
  }
  return text;
}

std::string RandomFile::toml_binding(unsigned number) {
  const std::string name = "\"B" + std::to_string(number) + "\"";
  switch (below(4)) {
    case 0:
      return "{ binding = " + name + ", id = \"x\" }";
    case 1:
      return "{id=\"x\",binding=" + name + "}";
    case 2:
      return "{ binding = " + name + ", id = 'x', localConnectionString = \"a://b#c\" }";
    default:
      return "{ \"binding\" = " + name + ", id = \"x\", remote = false }";
  }
}

std::string RandomFile::toml_array() {
  std::string text = "[";
  const unsigned count = below(4);
  const bool lines = one_in(2);
  const std::string indentation = pick({"  ", "\t", "", "    "});
  if (lines && one_in(4)) text += " # open ";
  for (unsigned i = 0; i < count; ++i) {
    if (lines) text += "\n" + indentation;
    if (lines && one_in(5)) text += "# above\n" + indentation;
    text += toml_binding(i);
    if (one_in(8)) text += " ";
    if (i + 1 < count || one_in(3)) text += ",";
    if (!lines && i + 1 < count) text += pick({"", " ", "  "});
    if (lines && one_in(3)) text += pick({" # note", "  # x  ", "   "});
  }
  if (lines) return text + pick({"\n", "\n  # last\n", "\n\n"}) + "]";
  return text + pick({"", "", " "}) + "]";
}

std::string RandomFile::toml_stanza(const std::string& path, unsigned number) {
  const std::string indentation = pick({"", "", "  ", "\t"});
  std::string text = pick({"", "# of it\n", "\n", "\n\n"});
  text += indentation + pick({"[[", "[[ "}) + path + "]]" + toml_line_end();
  std::vector<std::string> keys{"binding = \"B" + std::to_string(number) + "\"", "id = \"x\""};
  if (one_in(3)) keys.push_back("localConnectionString = 'postgres://a:b@c/d'");
  if (one_in(2)) std::swap(keys[0], keys[1]);
  for (const auto& key : keys) text += indentation + key + toml_line_end();
  if (one_in(5)) text += "[" + path + ".sub" + "]" + toml_line_end() + toml_key_values("", 0);
  return text;
}

std::string RandomFile::toml() {
  newline_ = one_in(4) ? "\r\n" : "\n";
  std::string text = toml_key_values("", 0);
  const unsigned top = below(5);
  if (top == 0) text += "hyperdrive = " + toml_array() + toml_line_end();
  const unsigned environments = below(7);
  if (environments == 0) {
    text += "env = { " +
            std::string(pick({"staging = {}", "staging = { name = \"s\" }", "other = { x = 1 }",
                              "staging.name = \"s\""})) +
            " }" + toml_line_end();
  } else if (environments == 1) {
    text += "env.staging.name = \"s\"" + toml_line_end();
    if (one_in(2)) text += "env.staging.hyperdrive = " + toml_array() + toml_line_end();
  }
  std::vector<std::string> parts;
  if (top == 1) {
    for (unsigned i = 0, n = 1 + below(3); i < n; ++i)
      parts.push_back(toml_stanza("hyperdrive", i));
  }
  if (environments == 2)
    parts.push_back("[env.staging]" + toml_line_end() + toml_key_values("", 0));
  if (environments == 3) {
    parts.push_back("  [env.'staging']\n" + toml_key_values("", 0) +
                    "hyperdrive = " + toml_array() + toml_line_end());
  }
  if (environments == 4) {
    parts.push_back("[env.staging.vars]" + toml_line_end() + toml_key_values("", 0));
    parts.push_back(toml_stanza("env.staging.hyperdrive", 0));
  }
  if (environments == 5) {
    parts.push_back("[env]" + toml_line_end() + "staging = { name = \"s\", hyperdrive = [" +
                    (one_in(2) ? toml_binding(0) : "") + "] }" + toml_line_end());
  }
  parts.push_back("[vars]" + toml_line_end() + toml_key_values("", 0));
  parts.push_back("[[rules]]" + toml_line_end() + toml_key_values("dotted.", 0));
  // Stanzas of one array keep their order among themselves only by chance: that is allowed.
  std::shuffle(parts.begin(), parts.end(), random_);
  for (const auto& part : parts) text += part;
  if (one_in(4)) text.erase(text.find_last_not_of(" \n") + 1);
  return (one_in(8) ? "\xEF\xBB\xBF" : "") + with_newlines(text, newline_);
}

std::string RandomFile::json_white() {
  if (plain_) return "";
  return pick({"", "", "", "", " ", " /* c */ ", " // \" x\n", "\n"});
}

std::string RandomFile::json_list(char open, char close, const std::vector<std::string>& items,
                                  unsigned depth) {
  std::string indentation;
  for (unsigned i = 0; i <= depth; ++i) indentation += unit_;
  const std::string outer = indentation.substr(0, indentation.size() - unit_.size());
  const bool lines = !unit_.empty() && !one_in(4);
  std::string text(1, open);
  if (lines && !plain_ && one_in(6)) text += " // opened  ";
  if (items.empty()) {
    if (!lines) return text + pick({"", "", " ", "  "}) + close;
    if (one_in(2)) text += "\n" + indentation + (plain_ ? "" : "// none");
    return text + "\n" + outer + close;
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (lines) text += "\n" + indentation;
    if (lines && !plain_ && one_in(8)) text += "// above\n" + indentation;
    text += items[i];
    if (!plain_ && one_in(10)) text += " /* behind */";
    const bool last = i + 1 == items.size();
    if (!last || (!plain_ && one_in(4))) text += ",";
    if (!lines && !last && !unit_.empty()) text += " ";
    if (lines && !plain_ && one_in(5)) text += pick({" // note", " /* x */ // y  ", "  "});
  }
  if (!lines) return text + pick({"", "", plain_ ? "" : " "}) + close;
  return text + (!plain_ && one_in(6) ? "\n" + indentation + "// the last" : "") + "\n" + outer +
         close;
}

std::string RandomFile::json_object(const std::vector<std::string>& members, unsigned depth) {
  return json_list('{', '}', members, depth);
}

std::string RandomFile::json_array(const std::vector<std::string>& items, unsigned depth) {
  return json_list('[', ']', items, depth);
}

std::string RandomFile::json_hyperdrive(unsigned depth) {
  std::vector<std::string> bindings;
  const std::string colon = unit_.empty() ? ":" : ": ";
  for (unsigned i = 0, n = below(4); i < n; ++i) {
    std::vector<std::string> fields{"\"binding\"" + colon + "\"B" + std::to_string(i) + "\"",
                                    "\"id\"" + colon + "\"x\""};
    if (one_in(3)) fields.push_back("\"localConnectionString\"" + colon + "\"a://b//c\"");
    if (one_in(4)) std::swap(fields[0], fields[1]);
    bindings.push_back(json_object(fields, depth + 2));
  }
  return "\"hyperdrive\"" + colon + json_array(bindings, depth + 1);
}

std::vector<std::string> RandomFile::json_scope(unsigned depth, bool with_environments) {
  const std::string colon = unit_.empty() ? ":" : ": ";
  std::vector<std::string> members;
  for (unsigned i = 0, n = below(4); i < n; ++i) {
    members.push_back("\"key" + std::to_string(i) + "\"" + colon +
                      pick({"1", "\"a // b\"", "true", "null", "[1, 2]", "{ \"x\": [] }",
                            "\"\\\"{\\u00e9\"", "-1.5e3"}) +
                      (one_in(10) ? json_white() : ""));
  }
  if (one_in(2)) members.push_back(json_hyperdrive(depth));
  if (with_environments && one_in(2)) {
    std::vector<std::string> scopes;
    if (one_in(2)) {
      scopes.push_back("\"staging\"" + colon +
                       json_object(json_scope(depth + 2, false), depth + 2));
    }
    if (one_in(2)) {
      scopes.push_back("\"other\"" + colon + json_object(json_scope(depth + 2, false), depth + 2));
    }
    members.push_back("\"env\"" + colon + json_object(scopes, depth + 1));
  }
  std::shuffle(members.begin(), members.end(), random_);
  return members;
}

std::string RandomFile::jsonc() {
  newline_ = one_in(4) ? "\r\n" : "\n";
  unit_ = pick({"  ", "\t", "    ", ""});
  plain_ = one_in(3);
  std::string text = json_object(json_scope(0, true), 0);
  if (!plain_ && one_in(4)) text = "// head\n" + text;
  text += pick({"", "\n", "\n", "\n\n"});
  return (one_in(8) ? "\xEF\xBB\xBF" : "") + with_newlines(text, newline_);
}

}  // namespace hyperdrive::core::wrangler
