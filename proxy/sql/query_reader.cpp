#include "proxy/sql/query_reader.hpp"

#include <algorithm>
#include <array>

#include "proxy/sql/builtins.hpp"

namespace hyperdrive::proxy::sql {
namespace {

template <std::size_t N>
bool one_of(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// Parts of a query that need nothing but their children read.
constexpr std::array<std::string_view, 29> kPlain = {
    "List",           "BoolExpr",        "NullTest",
    "BooleanTest",    "CaseWhen",        "CoalesceExpr",
    "MinMaxExpr",     "RowExpr",         "A_ArrayExpr",
    "A_Indices",      "SortBy",          "WindowDef",
    "GroupingSet",    "GroupingFunc",    "NamedArgExpr",
    "CollateClause",  "XmlExpr",         "XmlSerialize",
    "RangeSubselect", "InferClause",     "OnConflictClause",
    "IndexElem",      "MultiAssignRef",  "MergeWhenClause",
    "WithClause",     "CTESearchClause", "CTECycleClause",
    "String",         "ParamRef"};
constexpr std::array<std::string_view, 6> kLeaves = {"Integer", "Float",        "BitString",
                                                     "A_Star",  "SetToDefault", "Boolean"};

}  // namespace

std::vector<std::string> name_list(Node list) {
  std::vector<std::string> names;
  for (const Node item : list) {
    if (const Node string = item.as("String")) names.emplace_back(string["sval"].text());
  }
  return names;
}

Name name_of(const std::vector<std::string>& names) {
  Name name;
  if (!names.empty()) name.name = names.back();
  if (names.size() > 1) name.schema = names[names.size() - 2];
  return name;
}

Name relation_name(Node range_var) {
  return {std::string(range_var["schemaname"].text()), std::string(range_var["relname"].text())};
}

std::optional<std::string_view> constant_string(Node a_const) {
  const Node value = a_const["sval"];
  if (!value) return std::nullopt;
  return value["sval"].text();
}

bool QueryReader::is_new(char kind, std::string_view a, std::string_view b, int number) {
  std::string key(1, kind);
  key.append(std::to_string(number)).append(1, '\0').append(a).append(1, '\0').append(b);
  return seen_.insert(std::move(key)).second;
}

void QueryReader::refuse(std::string_view reason) {
  if (uncacheable_reason_.empty()) uncacheable_reason_ = reason;
}

void QueryReader::read(Node node, std::string_view type, Statement& statement) {
  statement_ = &statement;
  stack_.push_back({node, type, kNoScope, false, false});
  while (!stack_.empty()) {
    const Item item = stack_.back();
    stack_.pop_back();
    const auto base = static_cast<std::ptrdiff_t>(stack_.size());
    visit(item);
    // So that what stands first in the text is seen, and named as the reason, first.
    std::reverse(stack_.begin() + base, stack_.end());
  }
  statement_ = nullptr;
}

bool QueryReader::is_derived(const Item& item) {
  return item.derived || item.type == "RangeSubselect";
}

void QueryReader::push(Node child, const Item& parent, bool operand) {
  if (!child) return;
  if (child.is_array()) {
    for (const Node element : child) push(element, parent, operand);
  } else if (const Node inner = child.unwrap()) {
    stack_.push_back({inner, inner.key(), parent.scope, operand, is_derived(parent)});
  } else if (child.is_object() && child.first()) {
    stack_.push_back({child, "", parent.scope, operand, is_derived(parent)});
  }
}

void QueryReader::push_children(const Item& item, bool operand) {
  for (const Node child : item.node) push(child, item, operand);
}

void QueryReader::push_typed(Node content, std::string_view type, const Item& parent) {
  if (content) stack_.push_back({content, type, parent.scope, false, is_derived(parent)});
}

void QueryReader::visit(const Item& item) {
  if (visit_from_item(item) || visit_expression(item) || visit_plain(item)) return;
  refuse("holds " + std::string(item.type) + ", which the cache does not know");
  push_children(item, true);
}

bool QueryReader::visit_from_item(const Item& item) {
  const std::string_view type = item.type;
  if (type == "SelectStmt") {
    read_query(item);
  } else if (type == "InsertStmt" || type == "UpdateStmt" || type == "DeleteStmt" ||
             type == "MergeStmt") {
    read_write(item);
  } else if (type == "RangeVar") {
    read_relation(item);
  } else if (type == "RangeFunction") {
    read_range_function(item);
  } else if (type == "RangeTableSample") {
    refuse("TABLESAMPLE gives another sample each time");
    push_children(item, true);
  } else if (type == "RangeTableFunc" || type == "RangeTableFuncCol") {
    add_alias("*");
    if (const Node column_type = item.node["typeName"]) {
      read_type(column_type, Cast::Source::kOther, {});
    }
    for (const Node child : item.node) {
      if (child.key() != "typeName" && child.key() != "alias") push(child, item, true);
    }
  } else if (type == "JoinExpr") {
    if (item.node["usingClause"] || item.node["isNatural"]) add_operator("=");
    if (item.node["isNatural"].is_true()) analysis_.joins_naturally = true;
    for (const std::string& name : name_list(item.node["usingClause"])) {
      if (is_new('p', name)) analysis_.operands.push_back(name);
    }
    for (const char* key : {"larg", "rarg", "quals"}) push(item.node[key], item, true);
    for (const std::string& name : name_list(item.node["alias"]["colnames"])) add_alias(name);
  } else {
    return false;
  }
  return true;
}

bool QueryReader::visit_expression(const Item& item) {
  const std::string_view type = item.type;
  if (type == "ColumnRef") {
    read_column(item);
  } else if (type == "A_Const") {
    read_constant(item.node, {});
  } else if (type == "FuncCall") {
    read_call(item);
  } else if (type == "A_Expr") {
    read_operation(item);
  } else if (type == "TypeCast") {
    read_cast(item);
  } else if (type == "TypeName") {
    read_type(item.node, Cast::Source::kOther, {});
  } else if (type == "ResTarget") {
    read_target(item);
  } else if (type == "SubLink") {
    if (item.node["operName"]) {
      add_operator(item.node["operName"], false);
    } else if (item.node["testexpr"]) {
      add_operator("=");
    }
    push_children(item, true);
  } else if (type == "CaseExpr") {
    if (item.node["arg"]) add_operator("=");
    push_children(item, true);
  } else if (type == "A_Indirection") {
    for (const std::string& name : name_list(item.node["indirection"])) {
      if (is_new('n', name)) analysis_.attributes.push_back(name);
    }
    push_children(item, true);
  } else if (type == "SQLValueFunction") {
    // "SVFOP_CURRENT_TIMESTAMP_N" is CURRENT_TIMESTAMP with a precision.
    std::string word(item.node["op"].text());
    if (word.starts_with("SVFOP_")) word.erase(0, 6);
    if (word.ends_with("_N")) word.resize(word.size() - 2);
    if (volatile_reason_.empty()) {
      volatile_reason_ =
          word + " depends on " +
          (word.find("TIME") != std::string::npos || word.find("DATE") != std::string::npos
               ? "the moment it is asked"
               : "the session that asks");
    }
  } else if (type == "CurrentOfExpr") {
    refuse("reads a cursor of the session");
  } else {
    return false;
  }
  return true;
}

bool QueryReader::visit_plain(const Item& item) {
  const std::string_view type = item.type;
  if (type == "CommonTableExpr") {
    for (const std::string& name : name_list(item.node["aliascolnames"])) add_alias(name);
    push(item.node["ctequery"], item, false);
    for (const char* key : {"search_clause", "cycle_clause"}) {
      if (item.node[key]) add_alias("*");
    }
  } else if (type == "LockingClause") {
    refuse("locks rows (FOR UPDATE or FOR SHARE)");
  } else if (one_of(type, kLeaves)) {
    return true;
  } else if (type.empty() || one_of(type, kPlain)) {
    if (const Node operation = item.node["useOp"]) add_operator(operation, false);
    if (const Node cast_to = item.node["typeName"]) {
      read_type(cast_to, Cast::Source::kOther, {});
    }
    for (const std::string& name : name_list(item.node["alias"]["colnames"])) add_alias(name);
    const bool sorts = type == "SortBy" || type == "WindowDef" || type == "GroupingSet" ||
                       type == "List" || type == "RangeSubselect";
    for (const Node child : item.node) {
      const std::string_view key = child.key();
      if (key == "useOp" || key == "alias" || key == "collname" || key == "typeName") continue;
      push(child, item, !sorts);
    }
  } else {
    return false;
  }
  return true;
}

std::uint32_t QueryReader::open_with(Node with, const Item& item) {
  std::uint32_t scope = item.scope;
  if (!with) return scope;
  const auto name_in = [&](Node cte, std::uint32_t parent) {
    scopes_.push_back({parent, cte["ctename"].text()});
    return static_cast<std::uint32_t>(scopes_.size() - 1);
  };
  if (with["recursive"]) {
    // All names are visible in all of its queries.
    for (const Node element : with["ctes"]) scope = name_in(element.as("CommonTableExpr"), scope);
  }
  for (const Node element : with["ctes"]) {
    const Node cte = element.as("CommonTableExpr");
    stack_.push_back({cte, "CommonTableExpr", scope, false, true});
    if (!with["recursive"]) scope = name_in(cte, scope);
  }
  return scope;
}

void QueryReader::read_query(const Item& item) {
  Item inner = item;
  inner.scope = open_with(item.node["withClause"], item);
  if (item.node["intoClause"]) refuse("SELECT INTO makes a table");
  for (const Node child : item.node) {
    const std::string_view key = child.key();
    if (key == "withClause" || key == "intoClause") continue;
    if (key == "larg" || key == "rarg") {
      // Columns take each other's types, and literals theirs.
      if (is_new('p', "*")) analysis_.operands.push_back("*");
      push_typed(child, "SelectStmt", inner);
    } else {
      push(child, inner, false);
    }
  }
  int column = 0;
  for ([[maybe_unused]] const Node value : item.node["valuesLists"].first().as("List")["items"]) {
    add_alias("column" + std::to_string(++column));
  }
}

void QueryReader::read_write(const Item& item) {
  Item inner = item;
  inner.scope = open_with(item.node["withClause"], item);
  const Name target = relation_name(item.node["relation"]);
  if (is_new('w', target.schema, target.name, static_cast<int>(analysis_.statements.size()))) {
    statement_->writes.push_back(target);
  }
  refuse("a data-modifying statement inside WITH");
  for (const Node child : item.node) {
    const std::string_view key = child.key();
    if (key == "withClause" || key == "relation") continue;
    push(child, inner, true);
  }
}

void QueryReader::read_relation(const Item& item) {
  const Name relation = relation_name(item.node);
  for (const std::string& name : name_list(item.node["alias"]["colnames"])) add_alias(name);
  if (relation.schema.empty() && is_hidden(relation.name, item.scope)) return;
  if (!is_new('r', relation.schema, relation.name)) return;
  if (relation.schema == "pg_temp" || relation.schema.starts_with("pg_temp_")) {
    refuse("reads a temporary table");
  }
  analysis_.tables.push_back(relation);
}

bool QueryReader::is_hidden(std::string_view relation, std::uint32_t scope) const {
  for (; scope != kNoScope; scope = scopes_[scope].parent) {
    if (scopes_[scope].name == relation) return true;
  }
  return false;
}

void QueryReader::read_call(const Item& item) {
  const Name name = name_of(name_list(item.node["funcname"]));
  int count = static_cast<int>(item.node["args"].size());
  if (item.node["agg_within_group"]) count += static_cast<int>(item.node["agg_order"].size());
  const bool variadic = item.node["func_variadic"].is_true();
  if (is_new(variadic ? 'v' : 'f', name.schema, name.name, count)) {
    analysis_.functions.push_back({name, count, variadic});
  }
  const bool of_extension = name.name.starts_with("dblink_") || name.name == "set_limit";
  if (name.schema.empty() || name.schema == "pg_catalog" || of_extension) {
    note_session_call(name.name, item.node);
  }
  // A type's name called as a function is a cast: date(x).
  if (count == 1) {
    const Node argument = item.node["args"].first();
    Cast cast{name, Cast::Source::kOther, {}};
    if (const Node constant = argument.as("A_Const"); constant && constant["sval"]) {
      cast.source = Cast::Source::kLiteral;
    } else if (argument.as("ParamRef")) {
      cast.source = Cast::Source::kParameter;
    } else if (is_no_text(argument, cast.columns)) {
      cast.source = Cast::Source::kNoText;
    }
    analysis_.calls_as_casts.push_back(std::move(cast));
  }
  push_children(item, true);
}

void QueryReader::note_session_call(std::string_view function, Node call) {
  constexpr std::array<std::string_view, 4> kLocks = {"pg_advisory_lock", "pg_advisory_lock_shared",
                                                      "pg_try_advisory_lock",
                                                      "pg_try_advisory_lock_shared"};
  constexpr std::array<std::string_view, 2> kUnlocks = {"pg_advisory_unlock",
                                                        "pg_advisory_unlock_shared"};
  constexpr std::array<std::string_view, 4> kSequences = {"nextval", "setval", "currval",
                                                          "lastval"};
  if (function == "set_config") {
    note_set_config(call["args"]);
  } else if (one_of(function, kLocks)) {
    statement_->state |= state::kAdvisoryLock;
  } else if (one_of(function, kUnlocks)) {
    statement_->state |= state::kAdvisoryUnlock;
  } else if (function == "pg_advisory_unlock_all") {
    statement_->state |= state::kAdvisoryUnlockAll;
  } else if (one_of(function, kSequences)) {
    statement_->state |= state::kSequence;
  } else if (function == "setseed") {
    statement_->state |= state::kSeed;
  } else if (outlives_cleaning(function)) {
    statement_->state |= state::kLoad;
  } else if (function == "set_limit") {
    statement_->state |= state::kUnknownSetting;
  } else if (function.starts_with("dblink_")) {
    statement_->state |= state::kUnknown;
  }
}

void QueryReader::note_set_config(Node arguments) {
  analysis_.literal_blind = false;
  std::vector<Node> constants;
  for (const Node argument : arguments) {
    Node constant = argument.as("A_Const");
    if (const Node cast = argument.as("TypeCast")) constant = cast["arg"].as("A_Const");
    if (constant) constants.push_back(constant);
  }
  if (constants.size() != 3 || arguments.size() != 3 || !constants[0]["sval"] ||
      !constants[1]["sval"] || !constants[2]["boolval"]) {
    // A boolean may also be written 'true' or 't'.
    statement_->state |= state::kUnknownSetting;
    return;
  }
  Setting setting;
  setting.name = *constant_string(constants[0]);
  for (char& c : setting.name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  setting.value = *constant_string(constants[1]);
  setting.is_local = constants[2]["boolval"]["boolval"].is_true();
  statement_->settings.push_back(std::move(setting));
}

void QueryReader::add_operator(std::string_view name) {
  if (is_new('o', "", name)) analysis_.operators.push_back({{"", std::string(name)}, false});
}

void QueryReader::add_operator(Node names, bool prefix) {
  const Name name = name_of(name_list(names));
  if (is_new('o', name.schema, name.name, prefix ? 1 : 0)) {
    analysis_.operators.push_back({name, prefix});
  }
}

void QueryReader::read_operation(const Item& item) {
  const Node left = item.node["lexpr"];
  const Node right = item.node["rexpr"];
  const std::string_view kind = item.node["kind"].text();
  const bool matches_text = kind == "AEXPR_LIKE" || kind == "AEXPR_ILIKE";
  if (kind.find("BETWEEN") != std::string_view::npos) {
    for (const char* name : {"<", "<=", ">", ">="}) add_operator(name);
  } else {
    add_operator(item.node["name"], !left);
  }
  if (name_of(name_list(item.node["name"])).name == "@@") read_text_match(left, right);
  std::vector<std::string> fields = name_list(left.as("ColumnRef")["fields"]);
  if (fields.empty()) fields = name_list(right.as("ColumnRef")["fields"]);
  const std::string_view column = fields.empty() ? std::string_view() : fields.back();
  // LIKE reads its pattern as text, whatever it says, unless there is another LIKE; other constants
  // take the column's type.
  const auto read_side = [&](Node value) {
    const Node constant = value.as("A_Const");
    if (!constant || !constant["sval"]) {
      push(value, item, true);
    } else if (matches_text) {
      read_pattern(constant);
    } else {
      read_constant(constant, column);
    }
  };
  read_side(left);
  if (const Node list = right.as("List")) {
    for (const Node value : list["items"]) read_side(value);
  } else {
    read_side(right);
  }
}

/// `text @@ query` reads the text by default_text_search_config; `tsvector @@ query` does not.
void QueryReader::read_text_match(Node left, Node right) {
  constexpr std::array<std::string_view, 4> kVectors = {"to_tsvector", "setweight", "strip",
                                                        "array_to_tsvector"};
  std::vector<std::string> columns;
  for (const Node side : {left, right}) {
    const std::vector<std::string> fields = name_list(side.as("ColumnRef")["fields"]);
    if (!fields.empty()) columns.push_back(fields.back());
    if (one_of(name_of(name_list(side.as("FuncCall")["funcname"])).name, kVectors)) return;
    const Name type = name_of(name_list(side.as("TypeCast")["typeName"]["names"]));
    if (type.name == "tsvector" || type.name == "jsonb") return;
  }
  analysis_.text_matches.push_back(std::move(columns));
}

void QueryReader::read_constant(Node a_const, std::string_view column) {
  const std::optional<std::string_view> value = constant_string(a_const);
  if (value && has_input_word(*value)) {
    analysis_.input_words.push_back({std::string(*value), std::string(column), {}, false});
  }
}

void QueryReader::read_pattern(Node a_const) {
  const std::string_view value = *constant_string(a_const);
  if (has_input_word(value)) analysis_.input_words.push_back({std::string(value), {}, {}, true});
}

}  // namespace hyperdrive::proxy::sql
