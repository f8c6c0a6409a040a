// Walks a query's parse tree and writes down all that its answer depends on: relations, functions,
// operators, casts, special forms, input words; and what it leaves behind in the session.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "proxy/sql/analysis.hpp"
#include "proxy/sql/tree.hpp"

namespace hyperdrive::proxy::sql {

/// The names in a list of String nodes: `{"String": {"sval": …}}`.
std::vector<std::string> name_list(Node list);
/// The last one and the one before it.
Name name_of(const std::vector<std::string>& names);
Name relation_name(Node range_var);
/// The string inside an A_Const; nullopt if it is none.
std::optional<std::string_view> constant_string(Node a_const);

/// One reader for all statements of a text; not shared between threads.
class QueryReader {
 public:
  explicit QueryReader(Analysis& analysis) : analysis_(analysis) {}

  /// Reads the tree under `node`, a wrapper or the content of one whose type is `type`.
  void read(Node node, std::string_view type, Statement& statement);

  /// A special form such as CURRENT_DATE was seen: its words, and why it is volatile.
  const std::string& volatile_reason() const { return volatile_reason_; }
  const std::string& uncacheable_reason() const { return uncacheable_reason_; }

 private:
  static constexpr std::uint32_t kNoScope = ~std::uint32_t{0};
  /// The WITH names that hide relations here and in all that lies within.
  struct Scope {
    std::uint32_t parent;
    std::string_view name;
  };
  struct Item {
    Node node;
    std::string_view type;
    std::uint32_t scope;
    bool operand;  ///< stands inside an expression
    bool derived;  ///< inside a query whose output columns others may name
  };

  static bool is_derived(const Item& item);
  void push(Node child, const Item& parent, bool operand);
  void push_children(const Item& item, bool operand);
  void push_typed(Node content, std::string_view type, const Item& parent);
  void visit(const Item& item);
  bool visit_expression(const Item& item);
  bool visit_from_item(const Item& item);
  bool visit_plain(const Item& item);
  void read_query(const Item& item);
  std::uint32_t open_with(Node with, const Item& item);
  void read_write(const Item& item);
  void read_relation(const Item& item);
  void read_call(const Item& item);
  void read_range_function(const Item& item);
  void read_operation(const Item& item);
  void read_text_match(Node left, Node right);
  void read_cast(const Item& item);
  void read_type(Node type_name, Cast::Source source, std::vector<std::string> columns);
  void read_column(const Item& item);
  void read_constant(Node a_const, std::string_view column);
  void read_pattern(Node a_const);
  void read_target(const Item& item);
  void note_session_call(std::string_view function, Node call);
  void note_set_config(Node arguments);
  void add_operator(Node names, bool prefix);
  void add_operator(std::string_view name);
  void add_alias(std::string_view name);
  void add_figure_names(Node expression);
  void refuse(std::string_view reason);
  bool is_hidden(std::string_view relation, std::uint32_t scope) const;
  /// Whether the value is certainly no text, provided the columns are not; adds those.
  static bool is_no_text(Node expression, std::vector<std::string>& columns);
  /// Whether it was not seen before.
  bool is_new(char kind, std::string_view a, std::string_view b = {}, int number = 0);

  Analysis& analysis_;
  Statement* statement_ = nullptr;
  std::vector<Scope> scopes_;
  std::vector<Item> stack_;
  std::unordered_set<std::string> seen_;
  std::string volatile_reason_;
  std::string uncacheable_reason_;
};

}  // namespace hyperdrive::proxy::sql
