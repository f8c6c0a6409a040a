// A JSON array on standard output in pieces: it may have many thousand elements, and neither they
// nor their text need be in memory at once.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "cli/output/output.hpp"

namespace hyperdrive::cli {

/// Prints what Output::document would print. Between `add`s the caller must print nothing else.
class JsonArray {
 public:
  /// An array that stands alone, or inside of a document: at `indent` columns, between the texts
  /// `head` and `tail` (with the last line break), which outlive this object.
  explicit JsonArray(Output& out, std::size_t indent = 0, std::string_view head = "",
                     std::string_view tail = "\n");

  /// Where to append the text of the next element, its later lines indented by `inner()`.
  std::string& next();
  std::size_t inner() const { return indent_ + 2; }
  void add(const nlohmann::ordered_json& element);
  void finish();

 private:
  Output& out_;
  std::size_t indent_;
  std::string text_;
  std::string_view tail_;
  bool empty_ = true;
};

}  // namespace hyperdrive::cli
