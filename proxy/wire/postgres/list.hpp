// Views over the repeated parts of messages: integers, length-prefixed values, strings, columns.
//
// A list is made by a parser that has already walked it once (`take`), so that iterating needs no
// checks and cannot leave the bytes. Nothing is copied; the message must outlive the list.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>

#include "proxy/wire/postgres/cursor.hpp"
#include "proxy/wire/postgres/protocol.hpp"

namespace hyperdrive::proxy::wire::postgres {

/// Items of varying size; `Item::decode(Cursor&)` reads one.
template <class Item>
class List {
 public:
  using Value = decltype(Item::decode(std::declval<Cursor&>()));

  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Value;
    using difference_type = std::ptrdiff_t;
    using pointer = const Value*;
    using reference = Value;

    Iterator() = default;
    Iterator(Bytes rest, std::size_t left) : rest_(rest), left_(left) { load(); }
    const Value& operator*() const { return value_; }
    const Value* operator->() const { return &value_; }
    Iterator& operator++() {
      --left_;
      load();
      return *this;
    }
    bool operator==(const Iterator& other) const { return left_ == other.left_; }

   private:
    void load() {
      if (left_ == 0) return;
      Cursor cursor(rest_);
      value_ = Item::decode(cursor);
      rest_ = cursor.rest();
    }
    Bytes rest_;
    std::size_t left_ = 0;
    Value value_{};
  };

  List() = default;
  /// Walks `count` items; the cursor is not ok() afterwards if they are not all there.
  static List take(Cursor& cursor, std::size_t count) {
    const std::size_t before = cursor.left();
    Cursor walk = cursor;
    for (std::size_t i = 0; i < count && walk.ok(); ++i) Item::decode(walk);
    if (!walk.ok()) {
      cursor.fail();
      return {};
    }
    return List(cursor.bytes(before - walk.left()), count);
  }

  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  Iterator begin() const { return Iterator(raw_, count_); }
  Iterator end() const { return {}; }
  /// The items as they lie on the wire, without the count in front.
  Bytes raw() const { return raw_; }

 private:
  List(Bytes raw, std::size_t count) : raw_(raw), count_(count) {}
  Bytes raw_;
  std::size_t count_ = 0;
};

struct Int16Item {
  static std::int16_t decode(Cursor& cursor) { return static_cast<std::int16_t>(cursor.u16()); }
};
struct OidItem {
  static std::uint32_t decode(Cursor& cursor) { return cursor.u32(); }
};
/// A value with its length in front; no value: NULL (length -1).
struct ValueItem {
  static std::optional<Bytes> decode(Cursor& cursor) {
    const std::int32_t length = cursor.i32();
    if (length == -1) return std::nullopt;
    if (length < 0) {
      cursor.fail();
      return std::nullopt;
    }
    return cursor.bytes(static_cast<std::size_t>(length));
  }
};
struct StringItem {
  static Bytes decode(Cursor& cursor) { return cursor.cstring(); }
};

using Formats = List<Int16Item>;
using Oids = List<OidItem>;
using Values = List<ValueItem>;
using Strings = List<StringItem>;

}  // namespace hyperdrive::proxy::wire::postgres
