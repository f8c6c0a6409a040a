// read_bindings: what a file declares, and what wrangler would say of it.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/wrangler/edit.hpp"
#include "core/wrangler/jsonc_scan.hpp"
#include "core/wrangler/toml_find.hpp"
#include "core/wrangler/toml_scan.hpp"
#include "core/wrangler/tree.hpp"

namespace hyperdrive::core::wrangler {
namespace {

using nlohmann::json;

/// Broken UTF-8 is shown as U+FFFD.
std::string quoted(const json& string) {
  return string.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// A tree as JSON text for a message: scalars without their mark.
std::string shown(const json& value) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (!text.starts_with('\x01')) return quoted(value);
    // A scalar of TOML carries its type: `4:5`. One of JSON holds no colon.
    const std::size_t type = text.find(':');
    return text.substr(type == std::string::npos ? 1 : type + 1);
  }
  std::string result;
  if (value.is_array()) {
    for (const auto& item : value) result += (result.empty() ? "" : ",") + shown(item);
    return "[" + result + "]";
  }
  for (const auto& [key, item] : value.items()) {
    result += (result.empty() ? "" : ",") + quoted(json(key)) + ":" + shown(item);
  }
  return "{" + result + "}";
}

std::optional<std::string> string_at(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return {};
  const auto& text = found->get_ref<const std::string&>();
  if (text.starts_with('\x01')) return {};
  return text;
}

/// Lines of the binding stanzas in the file's order, with their environments; of what stands in
/// their place where that is no array.
struct Place {
  std::string environment;
  std::size_t line;
};

void places_in(std::string_view text, const Node& array, const std::string& environment,
               std::vector<Place>& places) {
  if (array.kind != Node::Kind::kArray) {
    places.push_back({environment, line_of(text, array.span.begin)});
    return;
  }
  for (const Item& item : array.items) {
    places.push_back({environment, line_of(text, item.span.begin)});
  }
}

std::vector<Place> places_in_jsonc(std::string_view text, std::string_view file) {
  std::vector<Place> places;
  const auto root = scan_jsonc(text, file);
  if (!root) return places;
  if (const Item* top = find_member(*root, "hyperdrive")) places_in(text, top->value, "", places);
  const Item* environments = find_member(*root, "env");
  if (!environments || environments->value.kind != Node::Kind::kTable) return places;
  for (const Item& scope : environments->value.items) {
    if (scope.value.kind != Node::Kind::kTable) continue;
    if (find_member(environments->value, scope.key.front()) != &scope) continue;
    if (const Item* array = find_member(scope.value, "hyperdrive")) {
      places_in(text, array->value, scope.key.front(), places);
    }
  }
  return places;
}

std::vector<Place> places_in_toml(std::string_view text, std::string_view file,
                                  const std::vector<std::string>& environments) {
  std::vector<Place> places;
  const auto statements = scan_toml(text, file);
  if (!statements) return places;
  const auto add = [&](const std::string& environment, const Path& path) {
    for (const std::size_t header : array_headers(*statements, path)) {
      places.push_back({environment, line_of(text, (*statements)[header].span.begin)});
    }
    const auto written = find_written(*statements, path);
    if (written && written->rest.empty()) places_in(text, *written->node, environment, places);
    const auto table = std::find_if(statements->begin(), statements->end(), [&](const auto& one) {
      return one.kind == Statement::Kind::kTable && one.header == path;
    });
    if (table != statements->end()) {
      places.push_back({environment, line_of(text, table->span.begin)});
    }
  };
  add("", {"hyperdrive"});
  for (const auto& name : environments) add(name, {"env", name, "hyperdrive"});
  return places;
}

/// The environments in the order in which the file first names them.
std::vector<std::string> environments_in_order(const json& tree, std::string_view text,
                                               Format format, std::string_view file) {
  std::vector<std::string> names;
  const auto found = tree.find("env");
  if (found == tree.end() || !found->is_object()) return names;
  const auto add = [&](const std::string& name) {
    if (found->contains(name) && std::find(names.begin(), names.end(), name) == names.end()) {
      names.push_back(name);
    }
  };
  if (format == Format::kJsonc) {
    if (const auto root = scan_jsonc(text, file)) {
      const Item* environments = find_member(*root, "env");
      for (const Item& item : environments->value.items) add(item.key.front());
    }
  } else if (const auto statements = scan_toml(text, file)) {
    for (const Statement& statement : *statements) {
      Path path = statement.header;
      path.insert(path.end(), statement.item.key.begin(), statement.item.key.end());
      if (path.size() >= 2 && path.front() == "env") add(path[1]);
    }
  }
  for (const auto& [name, scope] : found->items()) add(name);  // those in inline tables
  return names;
}

/// One binding, with wrangler's own words on what is wrong with it.
void read_element(const json& element, const std::string& field, Reading& reading, Place place) {
  if (!element.is_object()) {
    reading.problems.push_back(
        {fmt::format("\"hyperdrive\" bindings should be objects, but got {}", shown(element)),
         place.line});
    return;
  }
  const auto name = string_at(element, "binding");
  const auto id = string_at(element, "id");
  if (!name) {
    reading.problems.push_back(
        {fmt::format("\"{}\" bindings should have a string \"binding\" field but got {}.", field,
                     shown(element)),
         place.line});
  }
  if (!id) {
    reading.problems.push_back(
        {fmt::format("\"{}\" bindings must have a \"id\" field but got {}.", field, shown(element)),
         place.line});
  }
  for (const auto& [key, value] : element.items()) {
    static constexpr std::string_view kKnown[] = {"binding", "id", "localConnectionString",
                                                  "remote"};
    if (std::find(std::begin(kKnown), std::end(kKnown), key) == std::end(kKnown)) {
      reading.warnings.push_back(
          fmt::format("Unexpected fields found in {} field: \"{}\"", field, key));
    }
  }
  if (!name) return;
  reading.bindings.push_back({place.environment, *name, id.value_or(""),
                              string_at(element, "localConnectionString"), place.line});
}

void read_scope(const json& scope, const std::string& environment, const std::vector<Place>& places,
                Reading& reading) {
  if (!scope.is_object()) return;
  const auto array = scope.find("hyperdrive");
  if (array == scope.end()) return;
  auto place = std::find_if(places.begin(), places.end(),
                            [&](const Place& p) { return p.environment == environment; });
  const std::string prefix =
      environment.empty() ? "hyperdrive" : fmt::format("env.{}.hyperdrive", environment);
  if (!array->is_array()) {
    reading.problems.push_back(
        {fmt::format("The field \"{}\" should be an array but got {}.", prefix, shown(*array)),
         place == places.end() ? 0 : place->line});
    return;
  }
  std::vector<std::string> names;
  for (std::size_t i = 0; i < array->size(); ++i) {
    place = std::find_if(place, places.end(),
                         [&](const Place& p) { return p.environment == environment; });
    const std::size_t line = place == places.end() ? 0 : (place++)->line;
    read_element((*array)[i], fmt::format("{}[{}]", prefix, i), reading, {environment, line});
    if (const auto name = string_at((*array)[i], "binding")) names.push_back(*name);
  }
  std::sort(names.begin(), names.end());
  for (auto twice = names.begin();
       (twice = std::adjacent_find(twice, names.end())) != names.end();) {
    const auto last = std::find_if(reading.bindings.rbegin(), reading.bindings.rend(),
                                   [&](const Binding& b) { return b.name == *twice; });
    reading.problems.push_back(
        {fmt::format("{} assigned to multiple Hyperdrive Config bindings.", *twice), last->line});
    twice = std::upper_bound(twice, names.end(), *twice);
  }
}

}  // namespace

Result<Reading> read_bindings(std::string_view text, Format format, std::string_view file) {
  const auto tree = parse_tree(text, format, file);
  if (!tree) return tl::unexpected(tree.error());
  Reading reading;
  reading.environments = environments_in_order(*tree, text, format, file);
  const auto places = format == Format::kToml ? places_in_toml(text, file, reading.environments)
                                              : places_in_jsonc(text, file);
  read_scope(*tree, "", places, reading);
  for (const auto& name : reading.environments) {
    read_scope(tree->at("env").at(name), name, places, reading);
  }
  return reading;
}

}  // namespace hyperdrive::core::wrangler
