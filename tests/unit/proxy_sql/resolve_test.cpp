// Hundreds of statements against the catalogs of a real Postgres 15 (catalog.tsv, written by
// tests/support/catalog_rows.py from tests/support/cacheability.sql): status, reason, tables.
#include <catch2/catch.hpp>
#include <sstream>

#include "catalog_file.hpp"

namespace hyperdrive::proxy::sql {
namespace {

const std::string kData = HYPERDRIVE_TEST_DATA;

const Catalog& catalog() {
  static const auto kCatalog = tests::read_catalog(kData + "/catalog.tsv");
  REQUIRE(kCatalog.has_value());
  return **kCatalog;
}

std::string names(const std::vector<Oid>& tables) {
  std::string joined;
  for (const Oid table : tables) {
    std::string name = catalog().table_name(table);
    if (name.starts_with("public.")) name.erase(0, 7);
    joined += (joined.empty() ? "" : ",") + name;
  }
  return joined;
}

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields;
  for (std::size_t at = 0; at <= line.size();) {
    const std::size_t tab = std::min(line.find('\t', at), line.size());
    fields.push_back(line.substr(at, tab - at));
    at = tab + 1;
  }
  fields.resize(6);
  return fields;
}

Resolution resolve(const std::string& text, const Context& context = {}) {
  return catalog().resolve(*analyse(text), context);
}

TEST_CASE("every statement of the table has its status, reason and tables") {
  std::ifstream file(kData + "/cacheability.tsv");
  int count = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) continue;
    const std::vector<std::string> row = split(line);
    INFO(row[0]);
    const Resolution resolution = resolve(row[0]);
    CHECK(std::string(name(resolution.status)) == row[1]);
    CHECK(resolution.reason == row[2]);
    CHECK(names(resolution.tables) == row[3]);
    CHECK(names(resolution.writes) == row[4]);
    CHECK((resolution.writes_everything ? resolution.writes_reason : "") == row[5]);
    ++count;
  }
  CHECK(count >= 300);
}

TEST_CASE("names mean what the search path makes of them") {
  Context other;
  other.search_path = "other, public";
  CHECK(resolve("SELECT lower(name) FROM products").status == CacheStatus::kMiss);
  // A user's function shadows the built-in one, should the types fit it better.
  CHECK(resolve("SELECT lower(name) FROM products", other).status == CacheStatus::kVolatile);
  CHECK(resolve("SELECT pg_catalog.lower(name) FROM public.products", other).status ==
        CacheStatus::kMiss);
  // A schema of the path may be closed to the user: both tables count.
  CHECK(names(resolve("SELECT 1 FROM products", other).tables) == "products,other.products");
  Context user;
  user.user = "other";
  CHECK(names(resolve("SELECT 1 FROM products", user).tables) == "products,other.products");
  user.role = "nobody";
  CHECK(names(resolve("SELECT 1 FROM products", user).tables) == "products");
  Context quoted;
  quoted.search_path = "\"Other\" , \"a,b\",OTHER";
  CHECK(names(resolve("SELECT 1 FROM products", quoted).tables) == "other.products");
  // Operators are looked up in the path too.
  CHECK(resolve("SELECT 1 +* 2", quoted).status == CacheStatus::kMiss);
}

TEST_CASE("writes reach what foreign keys, partitions and the stream's names lead to") {
  const auto reach = [](const char* table) { return names(catalog().reach("public", table)); };
  CHECK(reach("products") == "products,orders,order_lines");
  CHECK(reach("plain_refs") == "plain_refs");
  CHECK(reach("events") == "events,events_2023,events_2024");
  CHECK(reach("nowhere").empty());
  CHECK(resolve("CREATE TABLE x (a int)").changes_catalog);
  CHECK(resolve("DO 'BEGIN END'").changes_catalog);
  CHECK(!resolve("INSERT INTO audited VALUES (1)").changes_catalog);
  CHECK(!resolve("EXECUTE p").changes_catalog);
  CHECK(resolve("SELECT * FROM scratch").reads_unlogged);
  CHECK(!resolve("SELECT * FROM products").reads_unlogged);
}

TEST_CASE("tables are found by glob") {
  CHECK(names(catalog().tables_matching("order*")) == "orders,order_lines");
  CHECK(names(catalog().tables_matching("other.*")) == "other.products");
  CHECK(names(catalog().tables_matching("*.products")) == "products,other.products");
  CHECK(names(catalog().tables_matching("event?")) == "events");
  CHECK(catalog().tables_matching("pg_class").empty());
}

TEST_CASE("explain says what is read, and where Cloudflare's cache differs") {
  const auto say = [](const std::string& text) {
    return explain(*analyse(text), text, catalog(), {});
  };
  const Explanation plain = say("SELECT lower(name) FROM cheap /* hyperdrive: max-age=5 */");
  CHECK(plain.status == CacheStatus::kMiss);
  CHECK(plain.tables == std::vector<std::string>{"public.products"});
  CHECK(plain.functions == std::vector<std::string>{"lower"});
  CHECK(plain.hints.max_age == 5);
  CHECK(plain.cloudflare.empty());
  CHECK(say("SELECT json_agg(p) FROM products p").cloudflare ==
        "would not cache it: json_agg() is STABLE");
  CHECK(say("SELECT 1 /* NOW() is old */").cloudflare ==
        "would not cache it: it takes now in a comment for a call");
  CHECK(say("SELECT now()").reason == "now() is STABLE");
}

TEST_CASE("a row of the wrong shape is an error, not a guess") {
  CatalogBuilder builder;
  const std::vector<std::optional<std::string_view>> row{"1", "2", "3"};
  CHECK(!builder.add(1, row));
  CHECK(!builder.add(99, row));
}

TEST_CASE("parameters are volatile if they may be read as the present") {
  const auto plain = analyse("SELECT * FROM products WHERE name = $1");
  const auto cast = analyse("SELECT * FROM products WHERE day = $1::text::date");
  CHECK(parameter_is_volatile(*plain, 0, "today"));
  CHECK(parameter_is_volatile(*plain, 1184, " NOW "));
  CHECK(parameter_is_volatile(*plain, 3910, "[today,tomorrow)"));
  CHECK(!parameter_is_volatile(*plain, 25, "today"));
  CHECK(parameter_is_volatile(*cast, 25, "today"));
  CHECK(!parameter_is_volatile(*cast, 23, "today"));
  CHECK(!parameter_is_volatile(*cast, 0, "2024-01-01"));
  CHECK(!parameter_is_volatile(*plain, 0, "nowhere"));
}

}  // namespace
}  // namespace hyperdrive::proxy::sql
