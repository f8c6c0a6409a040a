// Puts the resolver of proxy/sql before the tests: what would become of a statement.
//
//   sql_probe queries                    what prepares the catalog queries, and these, each ended
//                                        by a zero byte
//   sql_probe resolve FILE [PATH [USER]] statements from stdin, each ended by a zero byte; one line
//                                        each: status, reason, tables, writes, flags
//                                        (tab-separated)
//
// FILE holds the rows: the query's number and the columns, tab-separated, escaped as COPY does it.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>

#include "catalog_file.hpp"
#include "proxy/sql/catalog_lies.hpp"

namespace {

using hyperdrive::proxy::sql::Catalog;
using hyperdrive::proxy::sql::Context;

std::string joined(const Catalog& catalog, const std::vector<std::uint32_t>& tables) {
  std::string names;
  for (const std::uint32_t table : tables) {
    if (!names.empty()) names += ',';
    names += catalog.table_name(table);
  }
  return names;
}

int resolve(const std::string& file, const Context& context) {
  const auto catalog = hyperdrive::tests::read_catalog(file);
  if (!catalog) {
    std::cerr << "sql_probe: " << catalog.error().message << '\n';
    return 1;
  }
  for (std::string text; std::getline(std::cin, text, '\0');) {
    const auto analysis = hyperdrive::proxy::sql::analyse(text);
    const auto resolution = (*catalog)->resolve(*analysis, context);
    std::string reason = resolution.reason;
    for (char& c : reason) {
      if (c == '\n' || c == '\t') c = ' ';
    }
    std::cout << hyperdrive::proxy::sql::name(resolution.status) << '\t' << reason << '\t'
              << joined(**catalog, resolution.tables) << '\t'
              << joined(**catalog, resolution.writes) << '\t'
              << (resolution.writes_everything ? resolution.writes_reason : "") << '\n';
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string command = count > 1 ? arguments[1] : "";
  if (command == "queries") {
    std::cout << hyperdrive::proxy::sql::lies_preparation({}) << '\0';
    for (const std::string_view query : hyperdrive::proxy::sql::catalog_queries()) {
      std::cout << query << '\0';
    }
    return 0;
  }
  if (command == "resolve" && count > 2) {
    Context context;
    if (count > 3) context.search_path = arguments[3];
    if (count > 4) context.user = arguments[4];
    return resolve(arguments[2], context);
  }
  std::cerr << "usage: sql_probe queries | sql_probe resolve FILE [PATH [USER]]\n";
  return 64;
}
