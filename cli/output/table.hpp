// Tables as wrangler draws them; where the terminal is too narrow for one, a list of records.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace hyperdrive::cli {

/// Rows of text. All cells lie in one buffer: a table may have many thousand rows.
class Table {
 public:
  explicit Table(std::initializer_list<std::string_view> columns);

  /// Room for so many rows: growing step by step touches every page twice.
  void reserve(std::size_t rows);

  /// As many cells as there are columns.
  void add(std::initializer_list<std::string_view> row) { add_row(row); }
  void add(const std::vector<std::string>& row) { add_row(row); }

  std::size_t columns() const { return widths_.size(); }
  std::size_t rows() const { return cells_.size() / columns() - 1; }
  bool empty() const { return rows() == 0; }
  /// Row 0 is the heading.
  std::string_view cell(std::size_t row, std::size_t column) const;
  /// In terminal cells.
  std::size_t width_of_cell(std::size_t row, std::size_t column) const;
  std::size_t width_of_column(std::size_t column) const { return widths_[column]; }

 private:
  /// Where a cell ends in the text; it begins where the one before ends.
  struct Cell {
    std::uint32_t end;
    std::uint32_t width;
  };
  template <class Row>
  void add_row(const Row& row) {
    std::size_t column = 0;
    for (const std::string_view text : row) add_cell(column++, text);
  }
  void add_cell(std::size_t column, std::string_view text);
  std::size_t index(std::size_t row, std::size_t column) const { return row * columns() + column; }

  std::string text_;
  std::vector<Cell> cells_;
  std::vector<std::size_t> widths_;
};

/// `width`: columns of the terminal, 0: no limit. No newline at the end.
std::string draw(const Table& table, std::size_t width);

/// Likewise, in pieces, with a newline at the end.
void draw(const Table& table, std::size_t width, const std::function<void(std::string_view)>& sink);

/// Terminal cells of UTF-8 text (wide East Asian characters and emoji count two).
std::size_t cells(std::string_view text);

/// Cut to `limit` cells with an ellipsis at the end.
std::string shortened(std::string_view text, std::size_t limit);

}  // namespace hyperdrive::cli
