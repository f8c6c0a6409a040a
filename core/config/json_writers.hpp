// Two ways to write the same JSON shape: as a document to work with, and straight as text.
//
// A shape is a function over `out.open(key)`, `out.field(key, value)` and `out.close()`, so that it
// is said once. The text is what nlohmann's dump(2) prints, without a tree of nodes in between: a
// list of 10 000 configs is to take milliseconds. Pure.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace hyperdrive::core {

/// Into an object of nlohmann's.
class JsonTreeWriter {
 public:
  explicit JsonTreeWriter(nlohmann::ordered_json& root) : open_{&root} {}

  void open(std::string_view key) {
    nlohmann::ordered_json& child = (*open_.back())[std::string(key)];
    child = nlohmann::ordered_json::object();
    open_.push_back(&child);
  }
  void close() { open_.pop_back(); }
  template <class Value>
  void field(std::string_view key, const Value& value) {
    (*open_.back())[std::string(key)] = value;
  }
  void value(std::string_view key, const nlohmann::ordered_json& value) { field(key, value); }

 private:
  std::vector<nlohmann::ordered_json*> open_;
};

/// Appends to a text; every object has at least one field.
class JsonTextWriter {
 public:
  /// `indent`: columns that lines after the first stand in.
  JsonTextWriter(std::string& text, std::size_t indent) : text_(text), indent_(indent) {
    begin_object();
  }

  void open(std::string_view key) {
    name(key);
    begin_object();
  }
  void close() {
    indent_ -= kStep;
    text_ += '\n';
    text_.append(indent_, ' ');
    text_ += '}';
    first_ = false;
  }
  void field(std::string_view key, std::string_view value) {
    name(key);
    quote(value);
  }
  void field(std::string_view key, bool value) {
    name(key);
    text_ += value ? "true" : "false";
  }
  void field(std::string_view key, int value) {
    name(key);
    text_ += fmt::format_int(value).c_str();
  }
  /// Any value, an array for instance.
  void value(std::string_view key, const nlohmann::ordered_json& value) {
    name(key);
    // A line break inside of a string is escaped: every one in the text is layout.
    for (const char c :
         value.dump(kStep, ' ', false, nlohmann::ordered_json::error_handler_t::replace)) {
      text_ += c;
      if (c == '\n') text_.append(indent_, ' ');
    }
  }

 private:
  static constexpr std::size_t kStep = 2;

  void begin_object() {
    text_ += '{';
    indent_ += kStep;
    first_ = true;
  }
  void name(std::string_view key) {
    text_ += first_ ? "\n" : ",\n";
    text_.append(indent_, ' ');
    text_ += '"';
    text_ += key;
    text_ += "\": ";
    first_ = false;
  }
  void quote(std::string_view value) {
    const auto is_plain = [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; };
    if (std::all_of(value.begin(), value.end(), is_plain)) {
      text_ += '"';
      text_ += value;
      text_ += '"';
      return;
    }
    text_ += nlohmann::ordered_json(value).dump(-1, ' ', false,
                                                nlohmann::ordered_json::error_handler_t::replace);
  }

  std::string& text_;
  std::size_t indent_;
  bool first_ = true;
};

}  // namespace hyperdrive::core
