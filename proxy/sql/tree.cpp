#include "proxy/sql/tree.hpp"

#include <charconv>

namespace hyperdrive::proxy::sql {

std::string_view Node::key() const { return tree_ ? tree_->nodes_[index_].key : ""; }
std::string_view Node::text() const { return tree_ ? tree_->nodes_[index_].text : ""; }

bool Node::is_object() const { return tree_ && tree_->nodes_[index_].kind == Tree::Kind::kObject; }
bool Node::is_array() const { return tree_ && tree_->nodes_[index_].kind == Tree::Kind::kArray; }

int Node::number() const {
  int value = 0;
  const std::string_view digits = text();
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

Node Node::first() const {
  if (!tree_) return {};
  const std::uint32_t child = tree_->nodes_[index_].first;
  return child == 0 ? Node() : Node(tree_, child);
}

Node Node::next() const {
  if (!tree_) return {};
  const std::uint32_t sibling = tree_->nodes_[index_].next;
  return sibling == 0 ? Node() : Node(tree_, sibling);
}

std::size_t Node::size() const {
  std::size_t count = 0;
  for (Node child = first(); child; child = child.next()) ++count;
  return count;
}

Node Node::operator[](std::string_view key) const {
  if (!is_object()) return {};
  for (Node child = first(); child; child = child.next()) {
    if (child.key() == key) return child;
  }
  return {};
}

Node Node::unwrap() const {
  if (!is_object()) return {};
  const Node child = first();
  if (!child || child.next() || child.key().empty()) return {};
  const char initial = child.key().front();
  return initial >= 'A' && initial <= 'Z' ? child : Node();
}

Node Node::as(std::string_view type) const {
  const Node inner = unwrap();
  return inner && inner.key() == type ? inner : Node();
}

/// Reads the JSON once from left to right, unescaping strings where they stand.
class Tree::Reader {
 public:
  Reader(std::string& json, std::vector<Slot>& nodes) : json_(json), nodes_(nodes) {}

  bool run() {
    nodes_.reserve(json_.size() / 16 + 4);
    while (at_ < json_.size()) {
      if (!step()) return false;
    }
    return open_.empty() && !nodes_.empty();
  }

 private:
  struct Open {
    std::uint32_t node;
    std::uint32_t last_child;
  };

  bool step() {
    const char c = json_[at_];
    switch (c) {
      case ' ':
      case '\n':
      case ',':
      case ':':
        ++at_;
        return true;
      case '{':
        ++at_;
        open_.push_back({add(Kind::kObject, {}), 0});
        return true;
      case '[':
        ++at_;
        open_.push_back({add(Kind::kArray, {}), 0});
        return true;
      case '}':
      case ']':
        ++at_;
        if (open_.empty()) return false;
        open_.pop_back();
        return true;
      case '"': {
        const std::string_view value = string();
        if (!open_.empty() && nodes_[open_.back().node].kind == Kind::kObject && !has_key_) {
          key_ = value;
          has_key_ = true;
        } else {
          add(Kind::kScalar, value);
        }
        return at_ <= json_.size();
      }
      default:
        add(Kind::kScalar, bare());
        return true;
    }
  }

  std::uint32_t add(Kind kind, std::string_view text) {
    const auto index = static_cast<std::uint32_t>(nodes_.size());
    nodes_.push_back({key_, text, 0, 0, kind});
    key_ = {};
    has_key_ = false;
    if (open_.empty()) return index;
    Open& parent = open_.back();
    if (parent.last_child == 0) {
      nodes_[parent.node].first = index;
    } else {
      nodes_[parent.last_child].next = index;
    }
    parent.last_child = index;
    return index;
  }

  std::string_view bare() {
    const std::size_t begin = at_;
    while (at_ < json_.size() &&
           std::string_view(",:{}[]\" \n").find(json_[at_]) == std::string_view::npos) {
      ++at_;
    }
    return std::string_view(json_).substr(begin, at_ - begin);
  }

  std::string_view string() {
    const std::size_t begin = ++at_;
    std::size_t out = begin;
    while (at_ < json_.size() && json_[at_] != '"') {
      json_[out++] = json_[at_] == '\\' ? escape() : json_[at_++];
    }
    ++at_;
    return std::string_view(json_).substr(begin, out - begin);
  }

  /// libpg_query writes \uXXXX for single bytes only.
  char escape() {
    const char c = at_ + 1 < json_.size() ? json_[at_ + 1] : '\\';
    at_ += 2;
    switch (c) {
      case 'b':
        return '\b';
      case 'f':
        return '\f';
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'u': {
        unsigned value = 0;
        if (at_ + 4 <= json_.size()) {
          std::from_chars(json_.data() + at_, json_.data() + at_ + 4, value, 16);
        }
        at_ += 4;
        return static_cast<char>(value);
      }
      default:
        return c;
    }
  }

  std::string& json_;
  std::vector<Slot>& nodes_;
  std::vector<Open> open_;
  std::string_view key_;
  bool has_key_ = false;
  std::size_t at_ = 0;
};

Tree::Tree(std::string json) : json_(std::move(json)) {
  if (!Reader(json_, nodes_).run()) nodes_.clear();
}

}  // namespace hyperdrive::proxy::sql
