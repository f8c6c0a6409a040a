#include "core/wrangler/writer.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace hyperdrive::core::wrangler {
namespace {

bool is_bare_key(std::string_view name) {
  return !name.empty() && name.find_first_not_of(
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuv"
                              "wxyz0123456789_-") == std::string_view::npos;
}

bool fits_literal(std::string_view value) {
  return std::none_of(value.begin(), value.end(), [](char c) {
    return c == '\'' || c == 0x7F || static_cast<unsigned char>(c) < 0x20;
  });
}

}  // namespace

Fields fields_of(std::string_view name, std::string_view id, const ExtraKeys& extra) {
  Fields fields{{"binding", std::string(name)}, {"id", std::string(id)}};
  fields.insert(fields.end(), extra.begin(), extra.end());
  return fields;
}

std::string Writer::quoted(std::string_view value) const {
  std::string result = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      result += c;
    }
  }
  return result + '"';
}

std::string Writer::key(std::string_view name) const {
  return format == Format::kToml && is_bare_key(name) ? std::string(name) : quoted(name);
}

std::string Writer::field(std::string_view name, std::string_view value) const {
  return key(name) + assign + quoted(value);
}

std::string Writer::inline_object(const Fields& fields, const std::string& padding) const {
  std::string result = "{" + padding;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) result += "," + habits.gap;
    result += field(fields[i].first, fields[i].second);
  }
  return result + padding + "}";
}

std::string Writer::block_object(const Fields& fields, const std::string& indentation,
                                 const std::string& inner) const {
  std::string result = "{";
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) result += ",";
    result += habits.newline + inner + field(fields[i].first, fields[i].second);
  }
  return result + habits.newline + indentation + "}";
}

const Item* find_member(const Node& table, std::string_view key) {
  const Item* found = nullptr;
  for (const Item& item : table.items) {
    if (item.key.size() == 1 && item.key.front() == key) found = &item;
  }
  return found;
}

const Item* find_binding(const Node& array, std::string_view name) {
  for (const Item& item : array.items) {
    if (item.value.kind != Node::Kind::kTable) continue;
    const Item* binding = find_member(item.value, "binding");
    if (binding && binding->value.kind == Node::Kind::kString && binding->value.text == name) {
      return &item;
    }
  }
  return nullptr;
}

std::string replaced_string(std::string_view text, const Writer& writer, const Node& value,
                            std::string_view wanted) {
  const std::string_view old = text.substr(value.span.begin, value.span.end - value.span.begin);
  if (old.starts_with('\'') && !old.starts_with("'''") && fits_literal(wanted)) {
    return fmt::format("'{}'", wanted);
  }
  return writer.quoted(wanted);
}

Plan replace_fields(std::string_view text, const Writer& writer, const Node& object,
                    const Fields& fields) {
  Plan plan;
  std::string missing;
  const Layout layout = layout_of(text, writer.format, object, writer.habits);
  const std::string start = layout.lines ? writer.habits.newline + layout.indentation : layout.gap;
  for (const auto& [key, value] : fields) {
    if (key == "binding") continue;
    if (const Item* item = find_member(object, key)) {
      const Span span = item->value.span;
      if (item->value.kind == Node::Kind::kString && item->value.text == value) continue;
      plan.push_back(
          {span.begin, span.end - span.begin, replaced_string(text, writer, item->value, value)});
    } else {
      if (!missing.empty()) missing += "," + start;
      missing += writer.field(key, value);
    }
  }
  if (!missing.empty()) {
    const Plan added = append_item(text, writer.format, object, layout, writer.habits, missing);
    plan.insert(plan.end(), added.begin(), added.end());
  }
  std::stable_sort(plan.begin(), plan.end(),
                   [](const Edit& a, const Edit& b) { return a.at < b.at; });
  return plan;
}

Plan append_binding(std::string_view text, const Writer& writer, const Node& array,
                    const Fields& fields) {
  const Layout layout = layout_of(text, writer.format, array, writer.habits);
  const auto append = [&](const std::string& item) {
    return append_item(text, writer.format, array, layout, writer.habits, item);
  };
  if (array.items.empty()) return append(writer.inline_object(fields, writer.pad));
  const Node& sibling = array.items.back().value;
  if (sibling.kind != Node::Kind::kTable || sibling.items.empty()) {
    return append(writer.inline_object(fields, writer.pad));
  }
  const std::size_t first = sibling.items.front().span.begin;
  if (writer.format == Format::kJsonc && layout.lines && begins_line(text, first)) {
    return append(writer.block_object(fields, layout.indentation, indentation_before(text, first)));
  }
  const std::string_view padding =
      text.substr(sibling.span.begin + 1, first - sibling.span.begin - 1);
  const bool plain = padding.find_first_not_of(' ') == std::string_view::npos;
  return append(writer.inline_object(fields, plain ? std::string(padding) : writer.pad));
}

std::vector<Plan> chain_removals(std::string_view text, Format format,
                                 const std::vector<Link>& chain) {
  std::vector<Plan> plans;
  for (std::size_t level = 0; level < chain.size(); ++level) {
    const bool alone =
        std::all_of(chain.begin() + static_cast<std::ptrdiff_t>(level) + 1, chain.end(),
                    [](const Link& link) { return link.list->items.size() == 1; });
    if (!alone) continue;
    auto more = removals(text, format, *chain[level].list, chain[level].index);
    // The mere binding's best plan goes last: it serves if none gives the original.
    if (level + 1 == chain.size()) more.push_back(more.front());
    plans.insert(plans.end(), more.begin(), more.end());
  }
  return plans;
}

ExtraKeys extra_keys_of(const Node& object) {
  ExtraKeys extra;
  for (const Item& item : object.items) {
    if (item.key.size() != 1 || item.value.kind != Node::Kind::kString) continue;
    if (item.key.front() == "binding" || item.key.front() == "id") continue;
    extra.emplace_back(item.key.front(), item.value.text);
  }
  return extra;
}

}  // namespace hyperdrive::core::wrangler
