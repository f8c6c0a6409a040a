#include "core/wrangler/list_edit.hpp"

#include "core/wrangler/jsonc_scan.hpp"
#include "core/wrangler/toml_scan.hpp"

namespace hyperdrive::core::wrangler {
namespace {

bool is_white(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool all_white(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

std::string_view part_of(std::string_view text, Span span) {
  return text.substr(span.begin, span.end - span.begin);
}

Span inside_of(const Node& list) { return {list.span.begin + 1, list.span.end - 1}; }

bool is_line_comment(std::string_view comment) {
  return comment.starts_with("//") || comment.starts_with('#');
}

/// The white space before an item, in the gap between items that begins at `limit`.
struct White {
  std::size_t begin;
  bool behind_line_comment;  ///< without a line break here, what follows would be the comment's
};

/// What ends a comment's line is the comment's, blanks too.
White white_before(std::string_view text, Format format, std::size_t limit, std::size_t at) {
  const auto comments = comments_in(text, format, {limit, at});
  if (!comments.empty()) limit = comments.back().end;
  while (at > limit && is_white(text[at - 1])) --at;
  const bool behind =
      !comments.empty() && at == limit && is_line_comment(part_of(text, comments.back()));
  return {at, behind};
}

/// Whether something stands on the item's line behind the item and its comma; a line comment may
/// join the one before it.
bool line_goes_on(std::string_view text, const Item& item) {
  const auto blank = [&](std::size_t at) {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
    return at;
  };
  std::size_t at = blank(item.span.end);
  if (at == item.comma) at = blank(at + 1);
  if (at >= text.size() || is_line_comment(text.substr(at))) return false;
  return text[at] != '\n' && text[at] != '\r';
}

/// Behind the comments that follow `at` on its line; `at` itself if there are none.
std::size_t behind_comments(std::string_view text, Format format, std::size_t at,
                            std::size_t limit) {
  for (;;) {
    std::size_t next = at;
    while (next < limit && (text[next] == ' ' || text[next] == '\t')) ++next;
    const std::string_view rest = text.substr(next, limit - next);
    const bool comment = format == Format::kToml ? rest.starts_with('#')
                                                 : rest.starts_with("//") || rest.starts_with("/*");
    if (!comment) return at;
    const auto comments = comments_in(text, format, {next, limit});
    if (comments.empty() || comments.front().begin != next) return at;
    if (part_of(text, comments.front()).find('\n') != std::string_view::npos) return at;
    at = comments.front().end;
  }
}

Layout layout_of_empty(std::string_view text, Format format, const Node& list,
                       const Habits& habits) {
  const Span inside = inside_of(list);
  if (part_of(text, inside).find('\n') == std::string_view::npos) return {false, "", ""};
  for (const Span& comment : comments_in(text, format, inside)) {
    if (begins_line(text, comment.begin)) {
      return {true, indentation_before(text, comment.begin), ""};
    }
  }
  return {true, indentation_before(text, inside.end) + habits.unit, ""};
}

/// See the header: the item is set unlike in any list made by us.
Plan append_to_empty(std::string_view text, Format format, const Node& list, const Layout& layout,
                     const Habits& habits, const std::string& item) {
  const Span inside = inside_of(list);
  const auto comments = comments_in(text, format, inside);
  const std::size_t at = comments.empty() ? inside.begin : comments.back().end;
  if (layout.lines) return {{at, 0, habits.newline + layout.indentation + item}};
  if (!comments.empty()) return {{at, 0, " " + item}};
  const bool touching = inside.begin == inside.end;
  const bool inline_table = format == Format::kToml && list.kind == Node::Kind::kTable;
  return {{at, 0, touching && !inline_table ? " " + item + " " : item}};
}

/// The item's own span gives way to the comments within it, each on a line of its own.
struct Kept {
  std::string text;
  bool ends_in_line_comment = false;
};

Kept kept_comments(std::string_view text, Format format, const Item& item) {
  if (format == Format::kToml || !begins_line(text, item.span.begin)) return {};
  const std::string start =
      std::string(newline_of(text)) + indentation_before(text, item.span.begin);
  Kept kept;
  for (const Span& comment : comments_in(text, format, item.span)) {
    kept.text += start;
    kept.text += part_of(text, comment);
    kept.ends_in_line_comment = is_line_comment(part_of(text, comment));
  }
  return kept;
}

/// Takes the item and the white space before it; its comma stays. What goes on behind it on its
/// line must not end up in a comment that stays.
Edit removal_with_gap(std::string_view text, Format format, std::size_t gap, const Item& item) {
  const White white = white_before(text, format, gap, item.span.begin);
  const Kept kept = kept_comments(text, format, item);
  const bool commented = kept.text.empty() ? white.behind_line_comment : kept.ends_in_line_comment;
  std::string left = kept.text;
  if (commented && line_goes_on(text, item)) {
    left += newline_of(text);
    left += indentation_before(text, item.span.begin);
  }
  return {white.begin, item.span.end - white.begin, left};
}

void erase_comma(Plan& plan, const Item& item) {
  if (item.comma != kNowhere) plan.push_back({item.comma, 1, ""});
}

std::vector<Plan> removals_of_only(std::string_view text, Format format, const Node& list) {
  const Item& item = list.items.front();
  const Span inside = inside_of(list);
  Plan with_gap{removal_with_gap(text, format, inside.begin, item)};
  erase_comma(with_gap, item);
  Plan bare{{item.span.begin, item.span.end - item.span.begin, ""}};
  erase_comma(bare, item);

  const std::size_t end = item.comma == kNowhere ? item.span.end : item.comma + 1;
  const bool alone =
      all_white(part_of(text, {inside.begin, item.span.begin})) &&
      all_white(part_of(text, {item.span.end, end == item.span.end ? end : end - 1})) &&
      all_white(part_of(text, {end, inside.end})) && kept_comments(text, format, item).text.empty();
  if (!alone) return {with_gap, bare};
  return {Plan{{inside.begin, inside.end - inside.begin, ""}}, with_gap, bare};
}

Plan removal_of_last(std::string_view text, Format format, const Node& list) {
  const Item& item = list.items.back();
  const Item& before = list.items[list.items.size() - 2];
  Plan plan;
  if (item.comma == kNowhere) erase_comma(plan, before);
  plan.push_back(removal_with_gap(text, format, before.comma + 1, item));
  erase_comma(plan, item);
  return plan;
}

Plan removal_of_other(std::string_view text, Format format, const Node& list, std::size_t index) {
  const Item& item = list.items[index];
  const std::size_t after = item.comma + 1;
  if (begins_line(text, item.span.begin)) {
    const std::size_t noted = behind_comments(text, format, after, list.span.end - 1);
    const std::size_t gap = index == 0 ? list.span.begin + 1 : list.items[index - 1].comma + 1;
    if (noted == after) return {removal_with_gap(text, format, gap, item), {item.comma, 1, ""}};
    // A comment behind the item stays, in the item's place.
    const std::size_t comment = text.find_first_not_of(" \t", after);
    return {{item.span.begin, item.span.end - item.span.begin, ""},
            {item.comma, comment - item.comma, ""}};
  }
  const std::size_t next = list.items[index + 1].span.begin;
  if (all_white(part_of(text, {after, next})) &&
      all_white(part_of(text, {item.span.end, item.comma}))) {
    return {{item.span.begin, next - item.span.begin, ""}};
  }
  return {{item.span.begin, item.span.end - item.span.begin, ""}, {item.comma, 1, ""}};
}

}  // namespace

Layout layout_of(std::string_view text, Format format, const Node& list, const Habits& habits) {
  if (list.items.empty()) return layout_of_empty(text, format, list, habits);
  const Item& last = list.items.back();
  const bool may_break = format == Format::kJsonc || list.kind == Node::Kind::kArray;
  if (may_break && begins_line(text, last.span.begin)) {
    return {true, indentation_before(text, last.span.begin), ""};
  }
  if (list.items.size() >= 2) {
    const std::size_t after = list.items[list.items.size() - 2].comma + 1;
    const std::string_view gap = part_of(text, {after, last.span.begin});
    if (gap.find_first_not_of(" \t") == std::string_view::npos) {
      return {false, "", std::string(gap)};
    }
  }
  return {false, "", habits.gap};
}

Plan append_item(std::string_view text, Format format, const Node& list, const Layout& layout,
                 const Habits& habits, const std::string& item) {
  if (list.items.empty()) return append_to_empty(text, format, list, layout, habits, item);
  const Item& last = list.items.back();
  const bool trailing_comma = last.comma != kNowhere;
  std::size_t at = trailing_comma ? last.comma + 1 : last.span.end;
  if (layout.lines) at = behind_comments(text, format, at, list.span.end - 1);
  const std::string start = layout.lines ? habits.newline + layout.indentation : layout.gap;
  if (trailing_comma) return {{at, 0, start + item + ","}};
  if (at == last.span.end) return {{at, 0, "," + start + item}};
  return {{last.span.end, 0, ","}, {at, 0, start + item}};
}

std::vector<Plan> removals(std::string_view text, Format format, const Node& list,
                           std::size_t index) {
  if (list.items.size() == 1) return removals_of_only(text, format, list);
  if (index + 1 == list.items.size()) return {removal_of_last(text, format, list)};
  return {removal_of_other(text, format, list, index)};
}

std::vector<Span> comments_in(std::string_view text, Format format, Span part) {
  return format == Format::kToml ? toml_comments(text, part) : jsonc_comments(text, part);
}

}  // namespace hyperdrive::core::wrangler
