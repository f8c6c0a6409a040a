// Tables as wrangler draws them; where the terminal is too narrow for one, a list of records.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hyperdrive::cli {

struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  ///< as long as `columns`
};

/// `width`: columns of the terminal, 0: no limit. No newline at the end.
std::string draw(const Table& table, std::size_t width);

/// Terminal cells of UTF-8 text (wide East Asian characters and emoji count two).
std::size_t cells(std::string_view text);

/// Cut to `limit` cells with an ellipsis at the end.
std::string shortened(std::string_view text, std::size_t limit);

}  // namespace hyperdrive::cli
