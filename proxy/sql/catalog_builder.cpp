#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "proxy/sql/catalog_data.hpp"
#include "proxy/sql/resolver.hpp"

namespace hyperdrive::proxy::sql {
namespace {

/// The columns of each of catalog_queries().
constexpr std::array<std::size_t, 9> kColumnCounts = {6, 2, 2, 2, 2, 8, 5, 8, 4};

std::string_view value(CatalogBuilder::Row row, std::size_t column) {
  return row[column].value_or(std::string_view());
}

Oid oid(CatalogBuilder::Row row, std::size_t column) {
  Oid number = 0;
  const std::string_view digits = value(row, column);
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

bool truth(CatalogBuilder::Row row, std::size_t column) { return value(row, column) == "t"; }

char letter(CatalogBuilder::Row row, std::size_t column, char otherwise) {
  const std::string_view text = value(row, column);
  return text.empty() ? otherwise : text.front();
}

std::vector<Oid> oid_list(std::string_view list) {
  std::vector<Oid> oids;
  for (const char* at = list.data(); at < list.data() + list.size();) {
    Oid number = 0;
    const auto [end, error] = std::from_chars(at, list.data() + list.size(), number);
    if (error != std::errc()) break;
    oids.push_back(number);
    at = end + 1;
  }
  return oids;
}

void add_relation(CatalogData& data, CatalogBuilder::Row row) {
  Relation relation{oid(row, 0),         std::string(value(row, 1)), std::string(value(row, 2)),
                    letter(row, 3, 'r'), letter(row, 4, 'p'),        truth(row, 5)};
  data.relations_by_name[relation.name].push_back(data.relations.size());
  data.relations_by_oid.emplace(relation.oid, data.relations.size());
  data.relations.push_back(std::move(relation));
}

void add_function(CatalogData& data, CatalogBuilder::Row row) {
  Function function{std::string(value(row, 0)),    static_cast<int>(oid(row, 2)),
                    static_cast<int>(oid(row, 3)), truth(row, 4),
                    letter(row, 5, 'v'),           truth(row, 6),
                    oid_list(value(row, 7))};
  if (function.volatility >= 'v' && function.schema != "pg_catalog") {
    data.has_volatile_function = true;
    data.has_lying_writer = data.has_lying_writer || function.volatility == 'w';
  }
  data.functions[std::string(value(row, 1))].push_back(std::move(function));
}

void add_operator(CatalogData& data, CatalogBuilder::Row row) {
  Operator op{std::string(value(row, 0)), truth(row, 2), letter(row, 3, 'v'),
              oid_list(value(row, 4))};
  if (op.volatility >= 'v') data.has_volatile_operator = true;
  data.operators[std::string(value(row, 1))].push_back(std::move(op));
}

void add_type(CatalogData& data, CatalogBuilder::Row row) {
  Type type{std::string(value(row, 0)), oid(row, 2),   letter(row, 3, 'b'),    oid(row, 4),
            letter(row, 5, 'v'),        truth(row, 6), oid_list(value(row, 7))};
  data.type_names.emplace(type.oid, value(row, 1));
  data.types[std::string(value(row, 1))].push_back(std::move(type));
}

void add_columns(CatalogData& data, CatalogBuilder::Row row) {
  const std::vector<Oid> relations = oid_list(value(row, 2));
  ColumnGroup group{letter(row, 1, 'x'), truth(row, 3), {relations.begin(), relations.end()}};
  if (group.type_class == 'h' || group.type_class == 'z') {
    data.with_time.insert(group.relations.begin(), group.relations.end());
    if (group.type_class == 'z') {
      data.with_timetz.insert(group.relations.begin(), group.relations.end());
    }
  } else if (group.type_class == 'u') {
    data.with_unsafe.insert(group.relations.begin(), group.relations.end());
  }
  data.columns[std::string(value(row, 0))].push_back(std::move(group));
}

/// Names of pg_catalog by which a view changes its session, or runs SQL that it is given as a text.
bool names_a_changer(std::string_view definition) {
  constexpr std::array<std::string_view, 7> kChangers = {
      "set_config", "setseed", "advisory", "pg_settings", "to_xml", "ts_stat", "ts_rewrite"};
  return std::any_of(kChangers.begin(), kChangers.end(), [&](std::string_view name) {
    return definition.find(name) != std::string_view::npos;
  });
}

/// A call whose name has to be quoted, and so is no single word.
bool has_odd_name(std::string_view definition) {
  return definition.find("\"(") != std::string_view::npos;
}

/// Word by word: a view's text names the user's functions as they are called.
bool names_a_volatile_function(const CatalogData& data, std::string_view definition) {
  const auto is_part = [](char c) {
    return c == '_' || c == '$' || static_cast<unsigned char>(c) >= 0x80 ||
           std::isalnum(static_cast<unsigned char>(c)) != 0;
  };
  for (std::size_t at = 0; at < definition.size(); ++at) {
    if (!is_part(definition[at])) continue;
    const std::size_t begin = at;
    while (at < definition.size() && is_part(definition[at])) ++at;
    const auto named = data.functions.find(definition.substr(begin, at - begin));
    if (named == data.functions.end()) continue;
    for (const Function& function : named->second) {
      if (function.volatility >= 'v' && function.schema != "pg_catalog") return true;
    }
  }
  return false;
}

bool has_acting_view(const CatalogData& data) {
  if (data.definitions.empty()) return false;
  if (data.has_volatile_operator || !data.volatile_conversion.empty()) return true;
  return std::any_of(data.definitions.begin(), data.definitions.end(), [&](const auto& view) {
    return names_a_changer(view.second) ||
           (data.has_volatile_function &&
            (names_a_volatile_function(data, view.second) || has_odd_name(view.second)));
  });
}

/// A literal beside such a parameter or operand is converted, though nothing in the text says so.
template <class Callables>
void doubt_hazardous(const CatalogData& data, Callables& callables) {
  const Resolver resolver(data, {});
  for (auto& [name, overloads] : callables) {
    for (auto& one : overloads) {
      const bool doubted = std::any_of(one.takes.begin(), one.takes.end(),
                                       [&](Oid type) { return resolver.is_hazardous(type); });
      if (doubted && one.volatility == 'i') one.volatility = 'l';
      one.takes = {};
    }
  }
}

bool may_hide_state(const CatalogData& data) {
  return data.has_volatile_function || data.has_volatile_operator ||
         !data.volatile_conversion.empty() || !data.side_effects.empty() || data.has_acting_view;
}

}  // namespace

CatalogBuilder::CatalogBuilder() : data_(std::make_unique<CatalogData>()) {}
CatalogBuilder::~CatalogBuilder() = default;

core::Result<void> CatalogBuilder::add(std::size_t query, Row row) {
  if (query >= kColumnCounts.size() || row.size() != kColumnCounts[query]) {
    return core::fail("a catalog row has " + std::to_string(row.size()) + " columns where query " +
                          std::to_string(query) + " gives another number",
                      "This is a fault of the proxy; its cache stays off until the next read.");
  }
  CatalogData& data = *data_;
  switch (query) {
    case 0:
      add_relation(data, row);
      break;
    case 1:
      data.children[oid(row, 0)].push_back(oid(row, 1));
      break;
    case 2:
      data.definitions.emplace(oid(row, 0), value(row, 1));
      break;
    case 3:
      data.cascades[oid(row, 0)].push_back(oid(row, 1));
      break;
    case 4:
      if (oid(row, 0) == 0) {
        data.volatile_conversion = value(row, 1);
      } else if (oid(row, 0) == 1) {
        data.unnamed_cast = value(row, 1);
      } else {
        data.side_effects.emplace(oid(row, 0), value(row, 1));
      }
      break;
    case 5:
      add_function(data, row);
      break;
    case 6:
      add_operator(data, row);
      break;
    case 7:
      add_type(data, row);
      break;
    default:
      add_columns(data, row);
  }
  return {};
}

std::shared_ptr<const Catalog> CatalogBuilder::build() {
  doubt_hazardous(*data_, data_->functions);
  doubt_hazardous(*data_, data_->operators);
  data_->has_acting_view = sql::has_acting_view(*data_);
  data_->may_hide_state = sql::may_hide_state(*data_);
  auto catalog = std::shared_ptr<const Catalog>(new Catalog(std::move(data_)));
  data_ = std::make_unique<CatalogData>();
  return catalog;
}

}  // namespace hyperdrive::proxy::sql
