#include "proxy/session/mysql/statements.hpp"

#include <algorithm>

namespace hyperdrive::proxy::session::mysql {
namespace {

/// Parts may hold any bytes, so each is preceded by its size.
void append(std::string& key, std::string_view part) {
  key += std::to_string(part.size());
  key += ':';
  key += part;
}

}  // namespace

PreparedRef PreparedRegistry::get(std::string_view text, const StateRef& state) {
  std::string key;
  append(key, state->database);
  for (const Variable& variable : state->variables) {
    append(key, variable.name);
    append(key, variable.value);
  }
  key += '\n';
  key += text;
  return find_or_add(std::move(key), {0, std::string(text), state, nullptr});
}

PreparedRef PreparedRegistry::bind(const PreparedRef& unbound, std::string_view types) {
  std::string key = "types:" + std::to_string(unbound->id) + ':';
  key += types;
  return find_or_add(std::move(key), {0, unbound->text, unbound->state, unbound});
}

PreparedRef PreparedRegistry::find_or_add(std::string key, Prepared fresh) {
  const std::lock_guard lock(mutex_);
  if (const auto found = index_.find(key); found != index_.end()) {
    order_.splice(order_.begin(), order_, found->second);
    return found->second->second;
  }
  fresh.id = next_id_++;
  auto prepared = std::make_shared<Prepared>(std::move(fresh));
  bytes_ += key.size() + prepared->text.size();
  order_.emplace_front(std::move(key), prepared);
  index_.emplace(order_.front().first, order_.begin());
  while (order_.size() > capacity_ || (bytes_ > max_bytes_ && order_.size() > 1)) {
    bytes_ -= order_.back().first.size() + order_.back().second->text.size();
    index_.erase(order_.back().first);
    order_.pop_back();
  }
  return prepared;
}

const std::uint32_t* PreparedOnOrigin::use(std::uint64_t id) {
  const auto found = slots_.find(id);
  if (found == slots_.end()) return nullptr;
  found->second.used = ++clock_;
  return &found->second.origin_id;
}

std::optional<std::uint32_t> PreparedOnOrigin::add(std::uint64_t id, std::uint32_t origin_id) {
  const auto [at, fresh] = slots_.try_emplace(id, Slot{origin_id, ++clock_});
  if (fresh) return std::nullopt;
  const std::uint32_t before = at->second.origin_id;
  at->second = {origin_id, clock_};
  return before;
}

void PreparedOnOrigin::rename(std::uint64_t from, std::uint64_t to) {
  const auto found = slots_.find(from);
  if (found == slots_.end()) return;
  const Slot slot = found->second;
  slots_.erase(found);
  slots_.try_emplace(to, slot);
}

std::vector<std::uint32_t> PreparedOnOrigin::take_all() {
  std::vector<std::uint32_t> ids;
  for (const auto& [id, slot] : slots_) ids.push_back(slot.origin_id);
  slots_.clear();
  return ids;
}

std::optional<std::uint32_t> PreparedOnOrigin::surplus() {
  if (slots_.size() <= capacity_) return std::nullopt;
  const auto oldest =
      std::min_element(slots_.begin(), slots_.end(),
                       [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
  const std::uint32_t id = oldest->second.origin_id;
  slots_.erase(oldest);
  return id;
}

}  // namespace hyperdrive::proxy::session::mysql
