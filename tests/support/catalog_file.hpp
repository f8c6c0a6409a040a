// Reads a Catalog from a file of rows, as `COPY … TO` writes them behind the number of their query.
#pragma once

#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/sql/catalog.hpp"

namespace hyperdrive::tests {

inline std::string unescape_copy(std::string_view field) {
  std::string text;
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field[i] != '\\' || i + 1 == field.size()) {
      text += field[i];
      continue;
    }
    const char c = field[++i];
    text += c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
  }
  return text;
}

inline core::Result<std::shared_ptr<const proxy::sql::Catalog>> read_catalog(
    const std::string& path) {
  std::ifstream file(path);
  if (!file) return core::fail("cannot open " + path);
  proxy::sql::CatalogBuilder builder;
  for (std::string line; std::getline(file, line);) {
    std::vector<std::optional<std::string>> fields;
    for (std::size_t at = 0; at <= line.size();) {
      const std::size_t tab = std::min(line.find('\t', at), line.size());
      const std::string_view field = std::string_view(line).substr(at, tab - at);
      fields.push_back(field == "\\N" ? std::nullopt : std::optional(unescape_copy(field)));
      at = tab + 1;
    }
    std::vector<std::optional<std::string_view>> row;
    for (std::size_t i = 1; i < fields.size(); ++i) {
      row.push_back(fields[i] ? std::optional<std::string_view>(*fields[i]) : std::nullopt);
    }
    const auto added = builder.add(std::stoul(*fields[0]), row);
    if (!added) return tl::unexpected(added.error());
  }
  return builder.build();
}

}  // namespace hyperdrive::tests
