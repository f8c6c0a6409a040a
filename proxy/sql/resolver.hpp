// Resolves the names of one Analysis against the catalogs, following views into their definitions.
#pragma once

#include <array>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/sql/builtins.hpp"
#include "proxy/sql/catalog_data.hpp"

namespace hyperdrive::proxy::sql {

/// As people write them.
std::string shown(const Name& name);
std::string shown(const Relation& relation);

/// One resolution; lives for one call of Catalog::resolve.
class Resolver {
 public:
  Resolver(const CatalogData& data, std::vector<std::string> path)
      : data_(data), path_(std::move(path)) {}

  /// Judges the reading side: relations, functions, operators, casts.
  void read(const Analysis& analysis);
  /// Whether foreign keys act: adding rows makes none of them act.
  enum class Reach { kCascades, kAddsOnly };
  /// Adds what writing to these reaches.
  void write(const Name& target, Reach reach);
  void write(Oid target, Reach reach);

  /// Whether a literal that is read as this type depends on more than itself and the settings:
  /// timetz, a domain whose CHECK asks the clock, rows and ranges of such.
  bool is_hazardous(Oid type) const;

  const std::string& volatile_reason() const { return volatile_reason_; }
  const std::string& uncacheable_reason() const { return uncacheable_reason_; }
  /// Why the statements may write anything; empty if they do not.
  const std::string& anything_reason() const { return anything_reason_; }
  const std::set<Oid>& reads() const { return reads_; }
  const std::set<Oid>& writes() const { return writes_; }
  bool reads_unlogged() const { return reads_unlogged_; }

 private:
  void refuse_volatile(std::string reason);
  void refuse(std::string reason);
  void may_write_anything(std::string reason);

  std::vector<const Relation*> find_relations(const Name& name) const;
  void read_relation(const Name& name);
  void read_found(const Relation& relation);
  void read_view(const Relation& view);
  void add_with_children(const Relation& relation);

  bool is_visible(std::string_view schema, const Name& name) const;
  bool may_act(char volatility) const;
  void judge_call(const Call& call);
  void judge_builtin(const Call& call, char volatility);
  void judge_operator(const OperatorUse& use);
  void judge_attribute(const std::string& name);
  void judge_conversion(const Cast& cast, bool is_call);
  void judge_cast(const Cast& cast, bool is_call);
  bool uses_own_operators(const Analysis& analysis) const;
  void judge_input_words(const Analysis& analysis);
  void judge_text_search(const Analysis& analysis);
  void judge_columns(const Analysis& analysis);
  void judge_times();
  void judge_unnamed_casts();

  TypeClass classify(const Name& type, bool& composite) const;
  TypeClass classify_oid(Oid type, int depth) const;
  TypeClass classify_user_type(const Type& type, bool& composite, int depth) const;
  /// The class of every column of that name that can be meant here; '?' if they differ.
  char column_class(const Analysis& analysis, const std::string& column) const;

  const CatalogData& data_;
  std::vector<std::string> path_;
  const Analysis* analysis_ = nullptr;
  std::set<Oid> named_;          ///< relations that the analysis at hand names
  bool forbids_timetz_ = false;  ///< a function was called that asks for the date if given a time
  bool may_hold_time_ = false;
  int depth_ = 0;

  std::string volatile_reason_;
  std::string uncacheable_reason_;
  std::string anything_reason_;
  std::set<Oid> reads_;
  std::set<Oid> writes_;
  bool reads_unlogged_ = false;
};

}  // namespace hyperdrive::proxy::sql
