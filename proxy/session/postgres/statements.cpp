#include "proxy/session/postgres/statements.hpp"

#include <algorithm>

namespace hyperdrive::proxy::session::postgres {
namespace {

/// The uppermost bits of a row shape: there are 1664 columns at most.
constexpr int kCountAt = 64 - 11;

}  // namespace

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash ^= value + 0x9e3779b97f4a7c15ull + (hash << 6) + (hash >> 2);
  return hash * 0xff51afd7ed558ccdull;
}

bool StatementRegistry::Key::operator==(const Key& other) const {
  return fingerprint == other.fingerprint && text == other.text &&
         std::equal(types.begin(), types.end(), other.types.begin(), other.types.end());
}

std::size_t StatementRegistry::Hash::operator()(const Key& key) const {
  std::uint64_t hash = mix(std::hash<std::string_view>{}(key.text), key.fingerprint);
  for (const std::uint32_t type : key.types) hash = mix(hash, type);
  return hash;
}

StatementRef StatementRegistry::get(std::string_view text, std::span<const std::uint32_t> types,
                                    std::uint64_t fingerprint, std::uint64_t reading) {
  const std::lock_guard lock(mutex_);
  if (const auto found = index_.find(Key{text, types, fingerprint}); found != index_.end()) {
    order_.splice(order_.begin(), order_, found->second);
    return *found->second;
  }
  auto fresh = std::make_shared<Statement>();
  fresh->id = next_id_++;
  fresh->name = std::string(kStatementPrefix) + std::to_string(fresh->id);
  fresh->text = text;
  fresh->types.assign(types.begin(), types.end());
  fresh->fingerprint = fingerprint;
  fresh->reading = reading;
  order_.push_front(fresh);
  index_.emplace(key_of(*fresh), order_.begin());
  bytes_ += text.size();
  while (order_.size() > capacity_ || (bytes_ > max_bytes_ && order_.size() > 1)) {
    const auto last = std::prev(order_.end());
    index_.erase(key_of(**last));
    drop(last);
  }
  return fresh;
}

void StatementRegistry::drop(std::list<StatementRef>::iterator at) {
  bytes_ -= (*at)->text.size();
  order_.erase(at);
}

void StatementRegistry::retire(const Statement& statement) {
  statement.retired.store(true, std::memory_order_relaxed);
  withdraw(statement);
}

void StatementRegistry::withdraw(const Statement& statement) {
  if (statement.withdrawn.exchange(true, std::memory_order_relaxed)) return;
  const std::lock_guard lock(mutex_);
  const auto found = index_.find(key_of(statement));
  if (found == index_.end() || (*found->second)->id != statement.id) return;
  const auto at = found->second;
  index_.erase(found);
  drop(at);
}

std::size_t StatementRegistry::size() const {
  const std::lock_guard lock(mutex_);
  return order_.size();
}

void Statement::note_parameters(wire::postgres::Bytes description) const {
  const std::uint64_t shape = parameters_shape(description);
  wire::postgres::Cursor cursor(description);
  std::vector<std::uint32_t> types(cursor.u16());
  for (std::uint32_t& type : types) type = cursor.u32();
  if (!cursor.done()) return;
  const std::lock_guard lock(mutex_);
  settled_shape_ = shape;
  settled_ = std::move(types);
}

std::vector<std::uint32_t> Statement::types_for(std::uint64_t shape) const {
  const std::lock_guard lock(mutex_);
  return shape != 0 && settled_shape_ == shape ? settled_ : types;
}

void PreparedOnOrigin::unlink(std::uint32_t at) {
  Slot& slot = slots_[at];
  (slot.previous != kNone ? slots_[slot.previous].next : head_) = slot.next;
  (slot.next != kNone ? slots_[slot.next].previous : tail_) = slot.previous;
}

void PreparedOnOrigin::link_front(std::uint32_t at) {
  slots_[at].previous = kNone;
  slots_[at].next = head_;
  (head_ != kNone ? slots_[head_].previous : tail_) = at;
  head_ = at;
}

Shape* PreparedOnOrigin::use(std::uint64_t id) {
  if (head_ != kNone && slots_[head_].id == id) return &slots_[head_].shape;
  const auto found = index_.find(id);
  if (found == index_.end()) return nullptr;
  unlink(found->second);
  link_front(found->second);
  return &slots_[head_].shape;
}

bool PreparedOnOrigin::is_doubtful(std::uint64_t id) const {
  const auto found = index_.find(id);
  return found != index_.end() && is_of_the_past(slots_[found->second].period);
}

void PreparedOnOrigin::add(std::uint64_t id, bool provisional) {
  if (use(id) != nullptr) return;
  std::uint32_t at = 0;
  if (free_.empty()) {
    at = static_cast<std::uint32_t>(slots_.size());
    slots_.push_back({});
  } else {
    at = free_.back();
    free_.pop_back();
  }
  slots_[at] = {id, kNone, kNone, {}, provisional ? period_ : 0};
  link_front(at);
  index_.emplace(id, at);
}

void PreparedOnOrigin::remove(std::uint64_t id) {
  const auto found = index_.find(id);
  if (found == index_.end()) return;
  unlink(found->second);
  free_.push_back(found->second);
  index_.erase(found);
}

void PreparedOnOrigin::clear() {
  index_.clear();
  slots_.clear();
  free_.clear();
  head_ = tail_ = kNone;
}

std::uint64_t PreparedOnOrigin::surplus() const {
  return index_.size() >= capacity_ && tail_ != kNone ? slots_[tail_].id : 0;
}

std::uint64_t parameters_shape(wire::postgres::Bytes body) {
  return std::hash<std::string_view>{}(body) | 2;
}

const std::uint64_t kNoParameters = parameters_shape(std::string_view("\0\0", 2));

std::uint64_t rows_shape(wire::postgres::Bytes body) {
  const auto columns = wire::postgres::parse_row_description(body);
  if (!columns) return 2;
  std::uint64_t hash = columns->size();
  for (const auto& column : *columns) {
    hash = mix(hash, std::hash<std::string_view>{}(column.name));
    hash = mix(hash, column.type_oid);
    hash = mix(hash, static_cast<std::uint16_t>(column.type_size));
    hash = mix(hash, static_cast<std::uint32_t>(column.type_modifier));
  }
  return (hash & ((std::uint64_t{1} << kCountAt) - 1)) | 2 |
         std::uint64_t{columns->size()} << kCountAt;
}

std::size_t columns_of(std::uint64_t rows_shape) { return rows_shape >> kCountAt; }

}  // namespace hyperdrive::proxy::session::postgres
