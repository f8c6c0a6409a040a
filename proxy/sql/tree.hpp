// The parse tree of libpg_query as a flat array of nodes, read from its JSON.
//
// A node of the grammar is wrapped in an object whose one key is its type:
// {"SelectStmt": {"targetList": [...]}}. Where the grammar fixes the type the wrapper is missing
// ("relation": {"relname": ...}). Reading is iterative: nesting costs no stack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hyperdrive::proxy::sql {

class Tree;

/// A light handle on one node; false if there is none, and then every question gives nothing.
class Node {
 public:
  Node() = default;
  explicit operator bool() const { return tree_ != nullptr; }

  std::string_view key() const;   ///< its name in the object that holds it
  std::string_view text() const;  ///< of a string, number or boolean
  bool is_object() const;
  bool is_array() const;
  bool is_true() const { return text() == "true"; }
  int number() const;  ///< 0 if it is none

  /// The member of that name.
  Node operator[](std::string_view key) const;
  /// Of a wrapper: the node inside; its key() is the type. Otherwise nothing.
  Node unwrap() const;
  /// Of a wrapper: the content if the type is this one.
  Node as(std::string_view type) const;

  Node first() const;  ///< first child
  Node next() const;   ///< next sibling
  std::size_t size() const;

  class Iterator;
  Iterator begin() const;
  Iterator end() const;

 private:
  friend class Tree;
  friend class Iterator;
  Node(const Tree* tree, std::uint32_t index) : tree_(tree), index_(index) {}
  const Tree* tree_ = nullptr;
  std::uint32_t index_ = 0;
};

class Node::Iterator {
 public:
  explicit Iterator(Node node) : node_(node) {}
  Node operator*() const { return node_; }
  Iterator& operator++() {
    node_ = node_.next();
    return *this;
  }
  bool operator!=(const Iterator& other) const {
    return node_.tree_ != other.node_.tree_ || node_.index_ != other.node_.index_;
  }

 private:
  Node node_;
};

inline Node::Iterator Node::begin() const { return Iterator(first()); }
inline Node::Iterator Node::end() const { return Iterator(Node()); }

class Tree {
 public:
  Tree() = default;
  /// `json` must be well formed, as libpg_query writes it; otherwise the tree is empty.
  explicit Tree(std::string json);
  Tree(Tree&&) = delete;

  Node root() const { return nodes_.empty() ? Node() : Node(this, 0); }

 private:
  friend class Node;
  enum class Kind : std::uint8_t { kObject, kArray, kScalar };
  struct Slot {
    std::string_view key;
    std::string_view text;
    std::uint32_t first = 0;  ///< 0: none, since the root is nobody's child
    std::uint32_t next = 0;
    Kind kind = Kind::kScalar;
  };
  class Reader;

  std::string json_;
  std::vector<Slot> nodes_;
};

}  // namespace hyperdrive::proxy::sql
