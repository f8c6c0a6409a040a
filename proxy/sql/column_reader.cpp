// The second half of QueryReader: columns, casts and the names of output columns, that is, what can
// be known of types from the text alone.
#include <algorithm>
#include <array>

#include "proxy/sql/builtins.hpp"
#include "proxy/sql/query_reader.hpp"

namespace hyperdrive::proxy::sql {
namespace {

template <std::size_t N>
bool one_of(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// `(x).*`: the names of its fields are not in the text.
bool spreads_a_row(Node expression) {
  const Node indirection = expression.as("A_Indirection")["indirection"];
  for (const Node step : indirection) {
    if (step.as("A_Star")) return true;
  }
  return false;
}

/// unnest($1::int[]): its elements are no rows.
bool unnests_plain_values(Node call) {
  const Node function = call.as("FuncCall");
  const Node arguments = function["args"];
  if (name_of(name_list(function["funcname"])).name != "unnest" || arguments.size() != 1) {
    return false;
  }
  const Node type = arguments.first().as("TypeCast")["typeName"];
  const Name name = name_of(name_list(type["names"]));
  const bool is_built_in = name.schema.empty() || name.schema == "pg_catalog";
  return is_built_in && type["arrayBounds"] && builtin_type(name.name) != TypeClass::kUnknown;
}

}  // namespace

void QueryReader::read_column(const Item& item) {
  const std::vector<std::string> fields = name_list(item.node["fields"]);
  if (fields.empty()) return;
  const bool star = fields.size() != item.node["fields"].size();
  if (fields.size() > 1 && !star && is_new('n', fields.back())) {
    analysis_.attributes.push_back(fields.back());
  }
  // A row lock sets xmax, and VACUUM FULL moves rows, without anybody's write.
  constexpr std::array<std::string_view, 4> kHousekeeping = {"ctid", "xmax", "cmin", "cmax"};
  if (!star && one_of(fields.back(), kHousekeeping)) {
    refuse(fields.back() + " changes without a write");
  }
  if (item.operand && !star && is_new('p', fields.back())) {
    analysis_.operands.push_back(fields.back());
  }
}

void QueryReader::read_cast(const Item& item) {
  const Node argument = item.node["arg"];
  const Node type = item.node["typeName"];
  std::vector<std::string> columns;
  if (const Node constant = argument.as("A_Const"); constant && constant["sval"]) {
    read_type(type, Cast::Source::kLiteral, {});
    const std::string_view value = *constant_string(constant);
    if (has_input_word(value)) {
      const Name name = name_of(name_list(type["names"]));
      analysis_.input_words.push_back({std::string(value), "", name, false});
    }
    return;
  }
  if (argument.as("ParamRef")) {
    read_type(type, Cast::Source::kParameter, {});
    return;
  }
  const bool no_text = is_no_text(argument, columns);
  read_type(type, no_text ? Cast::Source::kNoText : Cast::Source::kOther, std::move(columns));
  push(argument, item, true);
}

void QueryReader::read_type(Node type_name, Cast::Source source, std::vector<std::string> columns) {
  if (!type_name) return;
  const Name name = name_of(name_list(type_name["names"]));
  if (type_name["pct_type"]) refuse("casts to the type of a column (%TYPE)");
  if (source != Cast::Source::kNoText &&
      !is_new('c', name.schema, name.name, static_cast<int>(source))) {
    return;
  }
  analysis_.casts.push_back({name, source, std::move(columns)});
}

void QueryReader::add_alias(std::string_view name) {
  if (!name.empty() && is_new('a', name)) analysis_.aliases.emplace_back(name);
}

void QueryReader::read_target(const Item& item) {
  const Node value = item.node["val"];
  const std::string_view name = item.node["name"].text();
  const std::vector<std::string> fields = name_list(value.as("ColumnRef")["fields"]);
  const bool is_column = !fields.empty();
  if (item.derived && !name.empty()) {
    if (!is_column || fields.back() != name) add_alias(name);
  } else if (item.derived && !is_column) {
    add_figure_names(value);
  }
  if (item.derived && spreads_a_row(value)) add_alias("*");
  push(value, item, false);
  push(item.node["indirection"], item, true);
}

/// Postgres names an unnamed output column after the expression (FigureColname).
void QueryReader::add_figure_names(Node expression) {
  while (expression) {
    const Node inner = expression.unwrap();
    const std::string_view type = inner.key();
    Node next;
    if (type == "ColumnRef") {
      const std::vector<std::string> fields = name_list(inner["fields"]);
      if (!fields.empty()) add_alias(fields.back());
    } else if (type == "TypeCast") {
      add_alias(name_of(name_list(inner["typeName"]["names"])).name);
      next = inner["arg"];
    } else if (type == "CollateClause") {
      next = inner["arg"];
    } else if (type == "A_Indirection") {
      for (const std::string& name : name_list(inner["indirection"])) add_alias(name);
      next = inner["arg"];
    } else if (type == "FuncCall") {
      add_alias(name_of(name_list(inner["funcname"])).name);
    } else if (type == "CaseExpr") {
      add_alias("case");
      next = inner["defresult"];
    } else if (!type.empty()) {
      // Each other expression has a fixed name ("coalesce", "array" …).
      for (const char* name : {"coalesce", "greatest", "least", "nullif", "exists", "array", "row",
                               "grouping", "bool"}) {
        add_alias(name);
      }
      const Node target = inner["subselect"].as("SelectStmt")["targetList"].first();
      next = target.as("ResTarget")["val"];
    }
    expression = next;
  }
}

void QueryReader::read_range_function(const Item& item) {
  add_alias(item.node["alias"]["aliasname"].text());
  for (const std::string& name : name_list(item.node["alias"]["colnames"])) add_alias(name);
  const auto read_definitions = [&](Node definitions) {
    for (const Node element : definitions) {
      if (const Node column = element.as("ColumnDef")) {
        add_alias(column["colname"].text());
        read_type(column["typeName"], Cast::Source::kOther, {});
      }
    }
  };
  read_definitions(item.node["coldeflist"]);
  for (const Node element : item.node["functions"]) {
    const Node pair = element.as("List")["items"];
    const Node call = pair.first();
    push(call, item, true);
    const std::string function = name_of(name_list(call.as("FuncCall")["funcname"])).name;
    add_alias(function);
    // The names of its OUT columns, or of a row's fields, are not in the text.
    if (function != "generate_series" && !unnests_plain_values(call)) add_alias("*");
    read_definitions(call.next().as("List")["items"]);
  }
}

bool QueryReader::is_no_text(Node expression, std::vector<std::string>& columns) {
  constexpr std::array<std::string_view, 17> kTimes = {
      "date_trunc",    "date_part",      "extract",   "to_timestamp",     "to_date",
      "make_date",     "make_timestamp", "make_time", "make_timestamptz", "timezone",
      "age",           "count",          "length",    "date_bin",         "make_interval",
      "justify_hours", "justify_days"};
  constexpr std::array<std::string_view, 6> kSame = {"min",  "max",         "lag",
                                                     "lead", "first_value", "last_value"};
  constexpr std::array<std::string_view, 13> kSafeTypes = {
      "date", "timestamp", "timestamptz", "time",   "interval", "int2", "int4",
      "int8", "numeric",   "float4",      "float8", "bool",     "uuid"};
  constexpr std::array<std::string_view, 4> kArithmetic = {"+", "-", "*", "/"};
  std::vector<Node> pending{expression};
  for (std::size_t i = 0; i < pending.size(); ++i) {
    const Node inner = pending[i].unwrap();
    const std::string_view type = inner.key();
    if (type == "ColumnRef") {
      const std::vector<std::string> fields = name_list(inner["fields"]);
      if (fields.size() != inner["fields"].size()) return false;
      columns.push_back(fields.back());
    } else if (type == "A_Const") {
      // A string here takes the type of its neighbours; alone it is one.
      if (inner["sval"] && pending.size() == 1) return false;
    } else if (type == "TypeCast") {
      if (!one_of(name_of(name_list(inner["typeName"]["names"])).name, kSafeTypes)) return false;
    } else if (type == "FuncCall") {
      const Name name = name_of(name_list(inner["funcname"]));
      if (!name.schema.empty() && name.schema != "pg_catalog") return false;
      if (one_of(name.name, kTimes)) continue;
      if (!one_of(name.name, kSame) || !inner["args"]) return false;
      pending.push_back(inner["args"].first());
    } else if (type == "A_Expr") {
      if (inner["kind"].text() != "AEXPR_OP") return false;
      if (!one_of(name_of(name_list(inner["name"])).name, kArithmetic)) return false;
      if (inner["lexpr"]) pending.push_back(inner["lexpr"]);
      pending.push_back(inner["rexpr"]);
    } else if (type == "CoalesceExpr" || type == "MinMaxExpr") {
      for (const Node argument : inner["args"]) pending.push_back(argument);
    } else if (type == "CaseExpr") {
      for (const Node when : inner["args"]) pending.push_back(when.as("CaseWhen")["result"]);
      if (inner["defresult"]) pending.push_back(inner["defresult"]);
    } else if (type != "SQLValueFunction" && type != "ParamRef") {
      return false;
    }
  }
  // A lone parameter is told apart by the caller; among others it takes their type.
  return !(pending.size() == 1 && pending.front().as("ParamRef"));
}

}  // namespace hyperdrive::proxy::sql
