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

std::string rule(const Table& table, std::string_view left, std::string_view middle,
                 std::string_view right) {
  std::string line(left);
  for (std::size_t i = 0; i < table.columns(); ++i) {
    if (i > 0) line += middle;
    line += repeat("─", table.width_of_column(i) + 2);
  }
  line += right;
  return line += '\n';
}

void append_row(std::string& text, const Table& table, std::size_t row) {
  text += "│";
  for (std::size_t i = 0; i < table.columns(); ++i) {
    text += ' ';
    text += table.cell(row, i);
    text.append(table.width_of_column(i) - table.width_of_cell(row, i) + 1, ' ');
    text += "│";
  }
  text += '\n';
}

using Sink = std::function<void(std::string_view)>;
constexpr std::size_t kPiece = 64u << 10;

void boxed(const Table& table, const Sink& sink) {
  const std::string between = rule(table, "├", "┼", "┤");
  std::string text = rule(table, "┌", "┬", "┐");
  for (std::size_t row = 0; row <= table.rows(); ++row) {
    if (row > 0) text += between;
    append_row(text, table, row);
    if (text.size() < kPiece) continue;
    sink(text);
    text.clear();
  }
  sink(text += rule(table, "└", "┴", "┘"));
}

/// `name: value` a line, the names right-aligned; values are cut to what is left of the terminal.
void records(const Table& table, std::size_t width, const Sink& sink) {
  std::size_t widest = 0;
  for (std::size_t i = 0; i < table.columns(); ++i) {
    widest = std::max(widest, table.width_of_cell(0, i));
  }
  const std::size_t left = width > widest + 4 ? width - widest - 2 : 2;
  for (std::size_t row = 1; row <= table.rows(); ++row) {
    std::string text = row > 1 ? "\n" : "";
    for (std::size_t i = 0; i < table.columns(); ++i) {
      if (table.cell(row, i).empty()) continue;
      text.append(widest - table.width_of_cell(0, i), ' ');
      text += table.cell(0, i);
      text += "  " + shortened(table.cell(row, i), left) + "\n";
    }
    sink(text);
  }
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

Table::Table(std::initializer_list<std::string_view> columns) : widths_(columns.size()) {
  add(columns);
}

void Table::reserve(std::size_t rows) {
  constexpr std::size_t kUsualCell = 12;
  cells_.reserve((rows + 1) * columns());
  text_.reserve((rows + 1) * columns() * kUsualCell);
}

void Table::add_cell(std::size_t column, std::string_view text) {
  const std::size_t width = cli::cells(text);
  text_ += text;
  cells_.push_back({static_cast<std::uint32_t>(text_.size()), static_cast<std::uint32_t>(width)});
  widths_[column] = std::max(widths_[column], width);
}

std::string_view Table::cell(std::size_t row, std::size_t column) const {
  const std::size_t at = index(row, column);
  const std::size_t begin = at == 0 ? 0 : cells_[at - 1].end;
  return std::string_view(text_).substr(begin, cells_[at].end - begin);
}

std::size_t Table::width_of_cell(std::size_t row, std::size_t column) const {
  return cells_[index(row, column)].width;
}

void draw(const Table& table, std::size_t width, const Sink& sink) {
  std::size_t total = 1;
  for (std::size_t i = 0; i < table.columns(); ++i) total += table.width_of_column(i) + 3;
  if (width == 0 || total <= width) {
    boxed(table, sink);
  } else {
    records(table, width, sink);
  }
}

std::string draw(const Table& table, std::size_t width) {
  std::string text;
  draw(table, width, [&text](std::string_view piece) { text += piece; });
  if (!text.empty()) text.pop_back();
  return text;
}

}  // namespace hyperdrive::cli
