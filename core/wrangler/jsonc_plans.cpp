#include <fmt/format.h>

#include "core/wrangler/jsonc_scan.hpp"
#include "core/wrangler/plans.hpp"
#include "core/wrangler/writer.hpp"

namespace hyperdrive::core::wrangler {
namespace {

std::vector<std::string> steps_to_bindings(const Target& target) {
  if (target.environment.empty()) return {"hyperdrive"};
  return {"env", std::string(target.environment), "hyperdrive"};
}

/// As the root object is written.
Writer writer_for(std::string_view text, const Node& root) {
  Writer writer{Format::kJsonc, {}, ": ", " "};
  writer.habits.newline = newline_of(text);
  if (root.items.empty()) return writer;
  const Item& first = root.items.front();
  const std::string_view between =
      text.substr(first.key_span.end, first.value.span.begin - first.key_span.end);
  if (between.find_first_not_of(" :") == std::string_view::npos) writer.assign = between;
  if (!writer.assign.ends_with(' ')) writer.habits.gap = writer.pad = "";
  if (begins_line(text, first.span.begin)) {
    const std::string unit = indentation_before(text, first.span.begin);
    if (!unit.empty()) writer.habits.unit = unit;
  }
  return writer;
}

/// `"env": { "staging": { "hyperdrive": [ … ] } }` from `step` on, on one line.
std::string inline_member(const Writer& writer, const std::vector<std::string>& steps,
                          std::size_t step, const Fields& fields) {
  const std::string start = writer.key(steps[step]) + writer.assign;
  if (step + 1 == steps.size()) {
    return start + "[" + writer.inline_object(fields, writer.pad) + "]";
  }
  return start + "{" + inline_member(writer, steps, step + 1, fields) + "}";
}

/// The same over several lines, the member itself at `indentation`.
std::string block_member(const Writer& writer, const std::vector<std::string>& steps,
                         std::size_t step, const Fields& fields, const std::string& indentation) {
  const bool last = step + 1 == steps.size();
  const std::string inner = indentation + writer.habits.unit;
  const std::string content = last ? writer.block_object(fields, inner, inner + writer.habits.unit)
                                   : block_member(writer, steps, step + 1, fields, inner);
  return fmt::format("{}{}{}{}{}{}{}{}{}", writer.key(steps[step]), writer.assign, last ? '[' : '{',
                     writer.habits.newline, inner, content, writer.habits.newline, indentation,
                     last ? ']' : '}');
}

tl::unexpected<Error> unfit(std::string_view text, const Target& target, const Node& node,
                            std::string_view what) {
  return syntax_error(text, target.file, node.span.begin,
                      fmt::format("\"{}\" is not what wrangler expects here", what));
}

}  // namespace

Result<Plan> plan_bind_jsonc(std::string_view text, const Target& target, std::string_view name,
                             std::string_view id, const ExtraKeys& extra) {
  auto root = scan_jsonc(text, target.file);
  if (!root) return tl::unexpected(root.error());
  const Writer writer = writer_for(text, *root);
  const auto steps = steps_to_bindings(target);
  const Fields fields = fields_of(name, id, extra);

  const Node* node = &*root;
  for (std::size_t step = 0; step < steps.size(); ++step) {
    if (node->kind != Node::Kind::kTable) return unfit(text, target, *node, steps[step - 1]);
    if (const Item* next = find_member(*node, steps[step])) {
      node = &next->value;
      continue;
    }
    const Layout layout = layout_of(text, Format::kJsonc, *node, writer.habits);
    // An object that was empty gets its member on one line: see list_edit.hpp. The root needs no
    // such mark, since we never make it.
    const bool block = layout.lines && (node == &*root || !node->items.empty());
    const std::string member = block ? block_member(writer, steps, step, fields, layout.indentation)
                                     : inline_member(writer, steps, step, fields);
    return append_item(text, Format::kJsonc, *node, layout, writer.habits, member);
  }
  if (node->kind != Node::Kind::kArray) return unfit(text, target, *node, "hyperdrive");
  if (const Item* element = find_binding(*node, name)) {
    return replace_fields(text, writer, element->value, fields);
  }
  return append_binding(text, writer, *node, fields);
}

Result<Removal> plan_unbind_jsonc(std::string_view text, const Target& target,
                                  std::string_view name) {
  auto root = scan_jsonc(text, target.file);
  if (!root) return tl::unexpected(root.error());
  std::vector<Link> chain;
  const Node* node = &*root;
  for (const std::string& step : steps_to_bindings(target)) {
    const Item* next = node->kind == Node::Kind::kTable ? find_member(*node, step) : nullptr;
    if (!next) return unfit(text, target, *node, step);
    chain.push_back({node, static_cast<std::size_t>(next - node->items.data())});
    node = &next->value;
  }
  const Item* element = node->kind == Node::Kind::kArray ? find_binding(*node, name) : nullptr;
  if (!element) return unfit(text, target, *node, "hyperdrive");
  chain.push_back({node, static_cast<std::size_t>(element - node->items.data())});

  const Item* id = find_member(element->value, "id");
  return Removal{chain_removals(text, Format::kJsonc, chain), id ? id->value.text : "",
                 extra_keys_of(element->value)};
}

}  // namespace hyperdrive::core::wrangler
