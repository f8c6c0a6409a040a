#include <fmt/format.h>

#include <algorithm>

#include "core/wrangler/plans.hpp"
#include "core/wrangler/toml_find.hpp"
#include "core/wrangler/toml_scan.hpp"
#include "core/wrangler/writer.hpp"

namespace hyperdrive::core::wrangler {
namespace {

Path path_to_bindings(const Target& target) {
  if (target.environment.empty()) return {"hyperdrive"};
  return {"env", std::string(target.environment), "hyperdrive"};
}

/// As the first `key = value` is written.
Writer writer_for(std::string_view text, const Statements& statements) {
  Writer writer{Format::kToml, {}, " = ", " "};
  writer.habits.newline = newline_of(text);
  const auto first = std::find_if(statements.begin(), statements.end(), [](const Statement& s) {
    return s.kind == Statement::Kind::kKeyValue;
  });
  if (first == statements.end()) return writer;
  const Item& item = first->item;
  if (item.value.span.begin - item.key_span.end == 1) writer.assign = "=";
  return writer;
}

std::string dotted(const Writer& writer, const Path& path, std::size_t from = 0) {
  std::string result;
  for (std::size_t i = from; i < path.size(); ++i) {
    result += (i > from ? "." : "") + writer.key(path[i]);
  }
  return result;
}

std::string inline_array(const Writer& writer, const Fields& fields) {
  return "[" + writer.inline_object(fields, writer.pad) + "]";
}

/// The end of a statement's line but for blanks behind it: the comment there belongs to it.
std::size_t end_of_line(std::string_view text, std::size_t end) {
  const std::size_t next = std::min(text.find_first_not_of(" \t", end), text.size());
  if (next == text.size() || text[next] != '#') return end;
  return toml_comments(text, {next, text.size()}).front().end;
}

/// Where something new may stand behind a statement: behind its line, and behind the comment lines
/// that follow it directly unless they lead over to the next statement.
std::size_t place_behind(std::string_view text, std::size_t statement_end) {
  const std::size_t own = end_of_line(text, statement_end);
  std::size_t place = own;
  for (std::size_t at = own;;) {
    const std::size_t newline = text.find('\n', at);
    if (newline == kNowhere) return place;
    const std::size_t next = text.find_first_not_of(" \t", newline + 1);
    if (next == kNowhere || text[next] == '\n' || text[next] == '\r') return place;
    if (text[next] != '#') return own;
    place = at = toml_comments(text, {next, text.size()}).front().end;
  }
}

struct Stanza {
  std::string header_indentation;
  std::string key_indentation;
  std::string separator;  ///< line ends before the header
};

std::string render(const Writer& writer, const Path& path, const Fields& fields,
                   const Stanza& stanza) {
  std::string result =
      stanza.separator + stanza.header_indentation + "[[" + dotted(writer, path) + "]]";
  for (const auto& [key, value] : fields) {
    result += writer.habits.newline + stanza.key_indentation + writer.field(key, value);
  }
  return result;
}

/// The stanza at the end of the text, before the white space there.
Plan append_at_end(std::string_view text, const Writer& writer, const Path& path,
                   const Fields& fields) {
  const std::size_t start = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  if (last == kNowhere || last < start) return {{start, 0, render(writer, path, fields, {})}};
  const std::string blank_line = writer.habits.newline + writer.habits.newline;
  return {{last + 1, 0, render(writer, path, fields, {"", "", blank_line})}};
}

Plan append_behind(std::string_view text, const Statements& statements, std::size_t anchor,
                   const Writer& writer, const Path& path, const Fields& fields) {
  const auto headers = array_headers(statements, path);
  Stanza stanza{"", "", writer.habits.newline + writer.habits.newline};
  for (std::size_t i = anchor + 1; i-- > 0;) {
    if (statements[i].kind == Statement::Kind::kKeyValue) continue;
    stanza.header_indentation = indentation_before(text, statements[i].span.begin);
    const bool has_key = i < anchor && statements[i + 1].kind == Statement::Kind::kKeyValue;
    stanza.key_indentation = has_key ? indentation_before(text, statements[i + 1].span.begin)
                                     : stanza.header_indentation;
    break;
  }
  if (headers.size() >= 2 && headers.back() > 0) {
    const Span before = statements[headers.back() - 1].span;
    const std::size_t begin = statements[headers.back()].span.begin;
    const std::string_view gap = text.substr(before.end, begin - before.end);
    if (gap == writer.habits.newline + stanza.header_indentation) {
      stanza.separator = writer.habits.newline;
    }
  }
  return {
      {place_behind(text, statements[anchor].span.end), 0, render(writer, path, fields, stanza)}};
}

Plan append_dotted(std::string_view text, const Statements& statements, std::size_t sibling,
                   const Writer& writer, const Path& path, const Fields& fields) {
  const Statement& statement = statements[sibling];
  const std::string line = writer.habits.newline + indentation_before(text, statement.span.begin) +
                           dotted(writer, path, statement.header.size()) + writer.assign +
                           inline_array(writer, fields);
  return {{place_behind(text, statement.span.end), 0, line}};
}

/// Adds what an inline table lacks of the path: `staging = { hyperdrive = [ … ] }`.
Plan append_inline(std::string_view text, const Written& at, const Writer& writer,
                   const Fields& fields) {
  const auto& items = at.node->items;
  const bool has_dotted = std::any_of(items.begin(), items.end(), [&](const Item& item) {
    return item.key.size() > 1 && item.key.front() == at.rest.front();
  });
  std::string member;
  if (has_dotted) {
    member = dotted(writer, at.rest) + writer.assign + inline_array(writer, fields);
  } else {
    member = inline_array(writer, fields);
    for (std::size_t i = at.rest.size(); i-- > 0;) {
      member = writer.key(at.rest[i]) + writer.assign + member;
      if (i > 0) member = "{ " + member + " }";
    }
  }
  const Layout layout = layout_of(text, Format::kToml, *at.node, writer.habits);
  return append_item(text, Format::kToml, *at.node, layout, writer.habits, member);
}

const Statement* key_of(const Statements& statements, const Path& path,
                        const std::vector<std::size_t>& element, std::string_view key) {
  for (const std::size_t i : element) {
    const Statement& statement = statements[i];
    if (statement.kind == Statement::Kind::kKeyValue && statement.header == path &&
        statement.item.key.size() == 1 && statement.item.key.front() == key) {
      return &statement;
    }
  }
  return nullptr;
}

/// The statements of the `[[path]]` element that is this binding; empty: there is none.
std::vector<std::size_t> find_stanza(const Statements& statements, const Path& path,
                                     std::string_view name) {
  for (const std::size_t header : array_headers(statements, path)) {
    auto element = element_statements(statements, path, header);
    const Statement* binding = key_of(statements, path, element, "binding");
    if (binding && binding->item.value.kind == Node::Kind::kString &&
        binding->item.value.text == name) {
      return element;
    }
  }
  return {};
}

Plan replace_in_stanza(std::string_view text, const Statements& statements, const Path& path,
                       const std::vector<std::size_t>& element, const Writer& writer,
                       const Fields& fields) {
  Plan plan;
  const Statement& binding = *key_of(statements, path, element, "binding");
  std::string missing;
  for (const auto& [key, value] : fields) {
    if (key == "binding") continue;
    if (const Statement* statement = key_of(statements, path, element, key)) {
      const Node& old = statement->item.value;
      if (old.kind == Node::Kind::kString && old.text == value) continue;
      plan.push_back({old.span.begin, old.span.end - old.span.begin,
                      replaced_string(text, writer, old, value)});
    } else {
      missing += writer.habits.newline + indentation_before(text, binding.span.begin) +
                 writer.field(key, value);
    }
  }
  if (!missing.empty()) plan.push_back({end_of_line(text, binding.span.end), 0, missing});
  std::sort(plan.begin(), plan.end(), [](const Edit& a, const Edit& b) { return a.at < b.at; });
  return plan;
}

/// Statements that follow each other without a foreign one between them: one block of lines.
struct Block {
  std::size_t first;
  std::size_t last;
};

std::vector<Block> blocks_of(const std::vector<std::size_t>& element) {
  std::vector<Block> blocks;
  for (const std::size_t i : element) {
    if (!blocks.empty() && blocks.back().last + 1 == i) {
      blocks.back().last = i;
    } else {
      blocks.push_back({i, i});
    }
  }
  return blocks;
}

/// The comments within and behind a block: they stay when the block goes, a line each.
std::string kept_comments(std::string_view text, const Statements& statements, Block block,
                          const std::string& newline) {
  std::string kept;
  for (std::size_t i = block.first; i <= block.last; ++i) {
    const std::size_t end =
        i == block.last ? end_of_line(text, statements[i].span.end) : statements[i + 1].span.begin;
    for (const Span& comment : toml_comments(text, {statements[i].span.end, end})) {
      if (!kept.empty()) kept += newline;
      kept += text.substr(comment.begin, comment.end - comment.begin);
    }
  }
  return kept;
}

std::size_t count_lines(std::string_view text, std::size_t begin, std::size_t end) {
  return static_cast<std::size_t>(std::count(text.begin() + static_cast<std::ptrdiff_t>(begin),
                                             text.begin() + static_cast<std::ptrdiff_t>(end),
                                             '\n'));
}

/// Removes a block of lines and one of the blank stretches around it, the smaller one.
Edit removal_of_block(std::string_view text, const Statements& statements, Block block,
                      const std::string& newline) {
  std::size_t begin = statements[block.first].span.begin;
  std::size_t end = end_of_line(text, statements[block.last].span.end);
  const std::string kept = kept_comments(text, statements, block, newline);
  if (!kept.empty()) return {begin, end - begin, kept};

  end = statements[block.last].span.end;
  const std::size_t start = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
  std::size_t above = begin;
  while (above > start && std::string_view(" \t\r\n").find(text[above - 1]) != kNowhere) --above;
  const std::size_t content = text.find_first_not_of(" \t\r\n", end);
  if (above == start && content != kNowhere) {
    // At the text's begin: what follows moves up, with its indentation.
    const std::size_t line = text.rfind('\n', content);
    return {begin, line + 1 - begin, ""};
  }
  if (content != kNowhere && above > start) {
    const std::size_t line = text.rfind('\n', content);
    if (count_lines(text, end, content) < count_lines(text, above, begin)) {
      begin -= indentation_before(text, begin).size();
      return {begin, line + 1 - begin, ""};
    }
  }
  // The blanks behind a comment are the comment's.
  const std::size_t line_end = text.find('\n', above);
  if (line_end != kNowhere && line_end < begin) {
    above = line_end > above && text[line_end - 1] == '\r' ? line_end - 1 : line_end;
  }
  return {above, end - above, ""};
}

/// The ways in which `bind` may have set a statement apart from what stands before it.
std::vector<Plan> exact_removals(std::string_view text, std::size_t begin, std::size_t end,
                                 const std::string& newline) {
  std::vector<Plan> plans;
  const std::string indentation = indentation_before(text, begin);
  for (const std::string& separator : {newline + newline, newline, std::string()}) {
    const std::string before = separator + indentation;
    if (!text.substr(0, begin).ends_with(before)) continue;
    plans.push_back({{begin - before.size(), end - begin + before.size(), ""}});
  }
  return plans;
}

Removal unbind_stanza(std::string_view text, const Statements& statements, const Path& path,
                      const std::vector<std::size_t>& element) {
  const std::string newline(newline_of(text));
  Removal removal;
  for (const std::size_t i : element) {
    const Statement& statement = statements[i];
    if (statement.kind != Statement::Kind::kKeyValue || statement.header != path ||
        statement.item.key.size() != 1 || statement.item.value.kind != Node::Kind::kString) {
      continue;
    }
    const std::string& key = statement.item.key.front();
    if (key == "id") removal.id = statement.item.value.text;
    if (key != "id" && key != "binding") {
      removal.extra.emplace_back(key, statement.item.value.text);
    }
  }
  const auto blocks = blocks_of(element);
  if (blocks.size() == 1) {
    removal.plans = exact_removals(text, statements[element.front()].span.begin,
                                   statements[element.back()].span.end, newline);
  }
  Plan plan;
  for (const Block& block : blocks) {
    plan.push_back(removal_of_block(text, statements, block, newline));
  }
  removal.plans.push_back(std::move(plan));
  return removal;
}

tl::unexpected<Error> unfit(const Target& target) {
  return fail(fmt::format("{}: hyperdrive is written in a way that the editor does not know; "
                          "nothing was changed",
                          target.file),
              "Write the bindings as [[hyperdrive]] stanzas, then try again.");
}

}  // namespace

Result<Plan> plan_bind_toml(std::string_view text, const Target& target, std::string_view name,
                            std::string_view id, const ExtraKeys& extra) {
  const auto statements = scan_toml(text, target.file);
  if (!statements) return tl::unexpected(statements.error());
  const Writer writer = writer_for(text, *statements);
  const Path path = path_to_bindings(target);
  const Fields fields = fields_of(name, id, extra);

  if (const auto written = find_written(*statements, path)) {
    if (!written->rest.empty()) return append_inline(text, *written, writer, fields);
    if (written->node->kind != Node::Kind::kArray) return unfit(target);
    if (const Item* element = find_binding(*written->node, name)) {
      return replace_fields(text, writer, element->value, fields);
    }
    return append_binding(text, writer, *written->node, fields);
  }
  if (const auto element = find_stanza(*statements, path, name); !element.empty()) {
    return replace_in_stanza(text, *statements, path, element, writer, fields);
  }
  if (const auto last = last_below(*statements, path)) {
    return append_behind(text, *statements, *last, writer, path, fields);
  }
  if (!target.environment.empty()) {
    const Path environment(path.begin(), path.end() - 1);
    if (const auto sibling = last_dotted(*statements, environment)) {
      return append_dotted(text, *statements, *sibling, writer, path, fields);
    }
    if (const auto last = last_below(*statements, environment)) {
      return append_behind(text, *statements, *last, writer, path, fields);
    }
  }
  return append_at_end(text, writer, path, fields);
}

Result<Removal> plan_unbind_toml(std::string_view text, const Target& target,
                                 std::string_view name) {
  const auto statements = scan_toml(text, target.file);
  if (!statements) return tl::unexpected(statements.error());
  const Path path = path_to_bindings(target);
  if (const auto element = find_stanza(*statements, path, name); !element.empty()) {
    return unbind_stanza(text, *statements, path, element);
  }
  const auto written = find_written(*statements, path);
  if (!written || !written->rest.empty() || written->node->kind != Node::Kind::kArray) {
    return unfit(target);
  }
  const Item* element = find_binding(*written->node, name);
  if (!element) return unfit(target);

  auto chain = written->chain;
  chain.push_back({written->node, static_cast<std::size_t>(element - written->node->items.data())});
  const Item* id = find_member(element->value, "id");
  Removal removal{{}, id ? id->value.text : "", extra_keys_of(element->value)};
  const bool alone = std::all_of(chain.begin(), chain.end(),
                                 [](const Link& link) { return link.list->items.size() == 1; });
  const Span whole = (*statements)[written->statement].span;
  if (alone)
    removal.plans = exact_removals(text, whole.begin, whole.end, std::string(newline_of(text)));
  const auto more = chain_removals(text, Format::kToml, chain);
  removal.plans.insert(removal.plans.end(), more.begin(), more.end());
  return removal;
}

}  // namespace hyperdrive::core::wrangler
