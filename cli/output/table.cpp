#include "cli/output/table.hpp"

#include <algorithm>
#include <cstdint>

namespace hyperdrive::cli {
namespace {

struct Glyph {
  std::size_t bytes;
  std::size_t cells;
};

bool is_wide(std::uint32_t point) {
  return (point >= 0x1100 && point <= 0x115f) || (point >= 0x2e80 && point <= 0xa4cf) ||
         (point >= 0xac00 && point <= 0xd7a3) || (point >= 0xf900 && point <= 0xfaff) ||
         (point >= 0xfe30 && point <= 0xfe6f) || (point >= 0xff00 && point <= 0xff60) ||
         (point >= 0x1f300 && point <= 0x1faff) || (point >= 0x20000 && point <= 0x3fffd);
}

/// The first character of `text` (not empty); a byte that is no UTF-8 counts as one cell.
Glyph first_glyph(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = lead < 0x80    ? 1
                             : lead >= 0xf0 ? 4
                             : lead >= 0xe0 ? 3
                             : lead >= 0xc0 ? 2
                                            : 1;
  if (length == 1 || length > text.size()) return {1, 1};
  std::uint32_t point = lead & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    point = (point << 6) | (static_cast<unsigned char>(text[i]) & 0x3fu);
  }
  const bool combining =
      (point >= 0x300 && point <= 0x36f) || point == 0x200d || (point >= 0xfe00 && point <= 0xfe0f);
  return {length, combining ? 0u : is_wide(point) ? 2u : 1u};
}

std::string repeat(std::string_view text, std::size_t times) {
  std::string result;
  for (std::size_t i = 0; i < times; ++i) result += text;
  return result;
}

std::vector<std::size_t> column_widths(const Table& table) {
  std::vector<std::size_t> widths;
  for (const auto& column : table.columns) widths.push_back(cells(column));
  for (const auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], cells(row[i]));
  }
  return widths;
}

std::string rule(const std::vector<std::size_t>& widths, std::string_view left,
                 std::string_view middle, std::string_view right) {
  std::string line(left);
  for (std::size_t i = 0; i < widths.size(); ++i) {
    if (i > 0) line += middle;
    line += repeat("─", widths[i] + 2);
  }
  return line += right;
}

void append_row(std::string& text, const std::vector<std::string>& row,
                const std::vector<std::size_t>& widths) {
  text += "│";
  for (std::size_t i = 0; i < widths.size(); ++i) {
    text += ' ';
    text += row[i];
    text.append(widths[i] - cells(row[i]) + 1, ' ');
    text += "│";
  }
  text += '\n';
}

std::string boxed(const Table& table, const std::vector<std::size_t>& widths) {
  const std::string between = rule(widths, "├", "┼", "┤") + "\n";
  std::string text = rule(widths, "┌", "┬", "┐") + "\n";
  append_row(text, table.columns, widths);
  for (const auto& row : table.rows) {
    text += between;
    append_row(text, row, widths);
  }
  return text + rule(widths, "└", "┴", "┘");
}

/// `name: value` a line, the names right-aligned; values are cut to what is left of the terminal.
std::string records(const Table& table, std::size_t width) {
  std::size_t widest = 0;
  for (const auto& column : table.columns) widest = std::max(widest, cells(column));
  std::string text;
  for (const auto& row : table.rows) {
    if (!text.empty()) text += "\n";
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (row[i].empty()) continue;
      const std::size_t left = width > widest + 4 ? width - widest - 2 : 2;
      text += std::string(widest - cells(table.columns[i]), ' ') + table.columns[i] + "  " +
              shortened(row[i], left) + "\n";
    }
  }
  if (!text.empty()) text.pop_back();
  return text;
}

}  // namespace

std::size_t cells(std::string_view text) {
  std::size_t count = 0;
  while (!text.empty() && static_cast<unsigned char>(text[0]) < 0x80) {
    ++count;
    text.remove_prefix(1);
  }
  while (!text.empty()) {
    const Glyph glyph = first_glyph(text);
    count += glyph.cells;
    text.remove_prefix(glyph.bytes);
  }
  return count;
}

std::string shortened(std::string_view text, std::size_t limit) {
  if (cells(text) <= limit) return std::string(text);
  std::string result;
  std::size_t used = 0;
  while (!text.empty()) {
    const Glyph glyph = first_glyph(text);
    if (used + glyph.cells + 1 > limit) break;
    used += glyph.cells;
    result += text.substr(0, glyph.bytes);
    text.remove_prefix(glyph.bytes);
  }
  return result + "…";
}

std::string draw(const Table& table, std::size_t width) {
  const auto widths = column_widths(table);
  std::size_t total = 1;
  for (const std::size_t column : widths) total += column + 3;
  return width == 0 || total <= width ? boxed(table, widths) : records(table, width);
}

}  // namespace hyperdrive::cli
