#include "cli/output/json_array.hpp"

#include <nlohmann/json.hpp>

namespace hyperdrive::cli {
namespace {
constexpr std::size_t kPiece = 64u << 10;
}

JsonArray::JsonArray(Output& out, std::size_t indent, std::string_view head, std::string_view tail)
    : out_(out), indent_(indent), text_(head), tail_(tail) {
  text_ += '[';
}

std::string& JsonArray::next() {
  if (text_.size() >= kPiece) {
    out_.print_raw(text_);
    text_.clear();
  }
  text_ += empty_ ? "\n" : ",\n";
  text_.append(inner(), ' ');
  empty_ = false;
  return text_;
}

void JsonArray::add(const nlohmann::ordered_json& element) {
  std::string& text = next();
  // A line break inside of a string is escaped: every one in the text is layout.
  for (const char c :
       element.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace)) {
    text += c;
    if (c == '\n') text.append(inner(), ' ');
  }
}

void JsonArray::finish() {
  if (!empty_) {
    text_ += '\n';
    text_.append(indent_, ' ');
  }
  text_ += ']';
  text_ += tail_;
  out_.print_raw(text_);
  text_.clear();
}

}  // namespace hyperdrive::cli
