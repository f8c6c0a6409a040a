#include "proxy/cache/epochs.hpp"

#include <algorithm>
#include <functional>
#include <mutex>
#include <utility>

namespace hyperdrive::proxy::cache {

TimePoint Mark::written() const {
  return TimePoint(std::chrono::nanoseconds(written_ns_.load(std::memory_order_relaxed)));
}

WriteIntent::WriteIntent(WriteIntent&& other) noexcept
    : epochs_(std::exchange(other.epochs_, nullptr)),
      watcher_(other.watcher_),
      marks_(std::move(other.marks_)),
      announcement_(std::move(other.announcement_)) {
  other.marks_.clear();
}

WriteIntent& WriteIntent::operator=(WriteIntent&& other) noexcept {
  if (this == &other) return *this;
  if (pending()) epochs_->lost_.fetch_add(1, std::memory_order_relaxed);
  epochs_ = std::exchange(other.epochs_, nullptr);
  watcher_ = other.watcher_;
  marks_ = std::move(other.marks_);
  announcement_ = std::move(other.announcement_);
  other.marks_.clear();
  return *this;
}

WriteIntent::~WriteIntent() {
  if (pending()) epochs_->lost_.fetch_add(1, std::memory_order_relaxed);
}

void WriteIntent::add(std::span<Mark* const> marks) {
  if (epochs_ == nullptr) return;
  const std::size_t before = marks_.size();
  for (Mark* mark : marks) {
    if (std::find(marks_.begin(), marks_.end(), mark) != marks_.end()) continue;
    marks_.push_back(mark);
    // Open first: an answer dispatched between the two steps finds either the open mark or a
    // younger one when it wants to be stored.
    mark->writers_.fetch_add(1, std::memory_order_acq_rel);
    Epochs::raise(mark->changed_at_, epochs_->tick());
  }
  if (watcher_ == nullptr || marks_.size() == before) return;
  announcement_ = watcher_->announce(std::move(announcement_), std::span(marks_).subspan(before));
}

void WriteIntent::add_everything() {
  if (epochs_ == nullptr) return;
  Mark* database = &epochs_->database_;
  add(std::span<Mark* const>(&database, 1));
}

void WriteIntent::commit() {
  if (!pending()) return;
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  const Stamp stamp = epochs_->tick();
  for (Mark* mark : marks_) {
    mark->written_ns_.store(ns, std::memory_order_relaxed);
    Epochs::raise(mark->committed_at_, stamp);
    Epochs::raise(mark->changed_at_, stamp);
  }
  settle(true);
}

void WriteIntent::roll_back() {
  if (pending()) settle(false);
}

void WriteIntent::settle(bool committed) noexcept {
  if (announcement_) watcher_->settle(std::exchange(announcement_, nullptr), marks_, committed);
  for (Mark* mark : marks_) mark->writers_.fetch_sub(1, std::memory_order_acq_rel);
  marks_.clear();
}

Epochs::Epochs() : tags_(std::make_unique<Mark[]>(kTags)) {
  database_.id_ = kDatabase;
  for (std::size_t i = 0; i < kTags; ++i) tags_[i].id_ = kFirstTag + i;
}

void Epochs::raise(std::atomic<Stamp>& mark, Stamp to) {
  Stamp seen = mark.load(std::memory_order_relaxed);
  while (seen < to && !mark.compare_exchange_weak(seen, to, std::memory_order_acq_rel)) {
  }
}

Mark& Epochs::table(TableId id) {
  {
    std::shared_lock lock(mutex_);
    if (auto it = tables_.find(id); it != tables_.end()) return *it->second;
  }
  std::unique_lock lock(mutex_);
  auto& slot = tables_[id];
  if (!slot) {
    slot = std::make_unique<Mark>();
    slot->id_ = id;
  }
  return *slot;
}

Mark& Epochs::tag(std::string_view name) {
  return tags_[std::hash<std::string_view>{}(name) % kTags];
}

bool Epochs::unwritten_since(Stamp stamp, std::span<Mark* const> marks) const {
  if (database_.changed_at() > stamp) return false;
  return std::all_of(marks.begin(), marks.end(),
                     [&](const Mark* mark) { return mark->changed_at() <= stamp; });
}

bool Epochs::unpurged_since(Stamp stamp, std::span<Mark* const> marks) const {
  if (database_.purged_at() > stamp) return false;
  return std::all_of(marks.begin(), marks.end(),
                     [&](const Mark* mark) { return mark->purged_at() <= stamp; });
}

bool Epochs::any_open(std::span<Mark* const> marks) const {
  if (database_.open()) return true;
  return std::any_of(marks.begin(), marks.end(), [](const Mark* mark) { return mark->open(); });
}

const Mark* Epochs::stale_by(Stamp stamp, std::span<Mark* const> marks) const {
  const Mark* latest = nullptr;
  auto consider = [&](const Mark* mark) {
    const Stamp committed = mark->committed_at();
    if (committed > stamp && (latest == nullptr || committed > latest->committed_at()))
      latest = mark;
  };
  consider(&database_);
  for (const Mark* mark : marks) consider(mark);
  return latest;
}

void Epochs::purge(Mark& mark) { raise(mark.purged_at_, tick()); }

}  // namespace hyperdrive::proxy::cache
