#include "core/wrangler/tree.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/wrangler/jsonc_scan.hpp"

namespace hyperdrive::core::wrangler {
namespace {

using nlohmann::json;

constexpr char kScalarMark = '\x01';

json from_toml(const toml::node& node) {
  if (const auto* table = node.as_table()) {
    json object = json::object();
    for (const auto& [key, value] : *table) object[std::string(key.str())] = from_toml(value);
    return object;
  }
  if (const auto* array = node.as_array()) {
    json list = json::array();
    for (const auto& value : *array) list.push_back(from_toml(value));
    return list;
  }
  if (const auto* string = node.as_string()) return string->get();
  std::ostringstream text;
  text << kScalarMark << static_cast<int>(node.type());
  node.visit([&](const auto& value) {
    if constexpr (toml::is_value<decltype(value)>) text << ':' << value.get();
  });
  return text.str();
}

Result<json> parse_toml(std::string_view text, std::string_view file) {
  try {
    return from_toml(toml::parse(text, std::string(file)));
  } catch (const toml::parse_error& error) {
    const auto& begin = error.source().begin;
    return fail(fmt::format("{}:{}:{}: {}", file, begin.line, begin.column, error.description()),
                "Mend the file; nothing was changed.");
  }
}

tl::unexpected<Error> not_an_array(const Target& target) {
  const std::string where =
      target.environment.empty() ? "" : fmt::format(" of the environment {}", target.environment);
  return fail(fmt::format("{}: \"hyperdrive\"{} is not an array of bindings", target.file, where),
              "wrangler reads [[hyperdrive]] in TOML, \"hyperdrive\": [ … ] in JSON.");
}

/// The object that holds the bindings of the target; made if it is missing.
Result<json*> scope_of(json& tree, const Target& target) {
  if (target.environment.empty()) return &tree;
  json& environments = tree["env"];
  if (environments.is_null()) environments = json::object();
  if (!environments.is_object()) {
    return fail(fmt::format("{}: \"env\" is not a table of environments", target.file));
  }
  json& scope = environments[std::string(target.environment)];
  if (scope.is_null()) scope = json::object();
  if (!scope.is_object()) {
    return fail(
        fmt::format("{}: the environment {} is not a table", target.file, target.environment));
  }
  return &scope;
}

/// Where the binding of this name stands in the array; its size if it is not there.
std::size_t index_of(const json& array, std::string_view name) {
  for (std::size_t i = 0; i < array.size(); ++i) {
    if (!array[i].is_object()) continue;
    const auto found = array[i].find("binding");
    if (found != array[i].end() && *found == name) return i;
  }
  return array.size();
}

bool is_there_twice(const json& array, std::string_view name) {
  return std::count_if(array.begin(), array.end(), [&](const json& element) {
           return element.is_object() && element.value("binding", json()) == name;
         }) > 1;
}

void erase_if_empty(json& object, const std::string& key) {
  const auto found = object.find(key);
  if (found != object.end() && found->empty() && (found->is_object() || found->is_array())) {
    object.erase(found);
  }
}

void prune(json& tree, const Target& target) {
  if (target.environment.empty()) return erase_if_empty(tree, "hyperdrive");
  const auto environments = tree.find("env");
  if (environments == tree.end() || !environments->is_object()) return;
  const std::string name(target.environment);
  if (const auto scope = environments->find(name);
      scope != environments->end() && scope->is_object()) {
    erase_if_empty(*scope, "hyperdrive");
  }
  erase_if_empty(*environments, name);
  erase_if_empty(tree, "env");
}

}  // namespace

json tree_of(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kString:
      return node.text;
    case Node::Kind::kScalar:
      return kScalarMark + node.text;
    case Node::Kind::kArray: {
      json list = json::array();
      for (const Item& item : node.items) list.push_back(tree_of(item.value));
      return list;
    }
    case Node::Kind::kTable:
      break;
  }
  json object = json::object();
  for (const Item& item : node.items) object[item.key.front()] = tree_of(item.value);
  return object;
}

Result<json> parse_tree(std::string_view text, Format format, std::string_view file) {
  if (format == Format::kToml) return parse_toml(text, file);
  auto root = scan_jsonc(text, file);
  if (!root) return tl::unexpected(root.error());
  if (root->kind != Node::Kind::kTable) {
    return syntax_error(text, file, root->span.begin, "a wrangler file is an object: { … }");
  }
  return tree_of(*root);
}

Result<json> with_binding(json tree, const Target& target, std::string_view name,
                          std::string_view id, const ExtraKeys& extra) {
  auto scope = scope_of(tree, target);
  if (!scope) return tl::unexpected(scope.error());
  json& array = (**scope)["hyperdrive"];
  if (array.is_null()) array = json::array();
  if (!array.is_array()) return not_an_array(target);
  const std::size_t index = index_of(array, name);
  if (index == array.size()) array.push_back({{"binding", std::string(name)}});
  if (is_there_twice(array, name)) {
    return fail(fmt::format("{} has two Hyperdrive bindings {}", target.file, name),
                "Remove one of them: hyperdrive unbind, or by hand.");
  }
  array[index]["id"] = std::string(id);
  for (const auto& [key, value] : extra) array[index][key] = value;
  return tree;
}

Result<json> without_binding(json tree, const Target& target, std::string_view name) {
  auto scope = scope_of(tree, target);
  if (!scope) return tl::unexpected(scope.error());
  json& array = (**scope)["hyperdrive"];
  if (!array.is_null() && !array.is_array()) return not_an_array(target);
  const std::size_t index = array.is_null() ? 0 : index_of(array, name);
  if (array.is_null() || index == array.size()) {
    const std::string where =
        target.environment.empty() ? "" : fmt::format(" in the environment {}", target.environment);
    return fail(fmt::format("{} has no Hyperdrive binding {}{}", target.file, name, where),
                "hyperdrive bindings lists the bindings that are there.");
  }
  array.erase(index);
  return tree;
}

std::vector<std::string> binding_names(const json& tree, const Target& target) {
  std::vector<std::string> names;
  json copy = tree;
  const auto scope = scope_of(copy, target);
  if (!scope) return names;
  for (const json& element : (**scope)["hyperdrive"]) {
    if (!element.is_object()) continue;
    const auto binding = element.find("binding");
    if (binding != element.end() && binding->is_string()) names.push_back(*binding);
  }
  return names;
}

bool same_but_for_empty_containers(json a, json b, const Target& target) {
  prune(a, target);
  prune(b, target);
  return a == b;
}

}  // namespace hyperdrive::core::wrangler
