#include "proxy/admin/event_hub.hpp"

#include <utility>

namespace hyperdrive::proxy::admin {

EventBatch EventHub::Reader::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(batch_, {});
}

void EventHub::publish(const Event& event) {
  if (readers_count_.load(std::memory_order_relaxed) == 0) return;
  const std::lock_guard lock(mutex_);
  const std::uint64_t sequence = ++sequence_;
  std::erase_if(readers_, [](const auto& reader) { return reader.expired(); });
  readers_count_.store(readers_.size(), std::memory_order_relaxed);
  for (const auto& weak : readers_) {
    const auto reader = weak.lock();
    if (!reader) continue;
    bool first = false;
    {
      const std::lock_guard reader_lock(reader->mutex_);
      EventBatch& batch = reader->batch_;
      if (batch.events.size() >= kQueue) {
        ++batch.dropped;
        continue;
      }
      first = batch.events.empty();
      batch.events.emplace_back(sequence, event);
    }
    if (first) reader->wake_();
  }
}

std::shared_ptr<EventHub::Reader> EventHub::open(std::function<void()> wake) {
  auto reader = std::make_shared<Reader>();
  reader->wake_ = std::move(wake);
  const std::lock_guard lock(mutex_);
  readers_.push_back(reader);
  readers_count_.store(readers_.size(), std::memory_order_relaxed);
  return reader;
}

}  // namespace hyperdrive::proxy::admin
