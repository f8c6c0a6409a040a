// Query events on their way from the workers to the readers of /v1/events.
//
// A worker asks `listening()` (one relaxed load) and only then makes an Event and publishes it.
// Each reader has a queue of its own; when that is full the event is counted, not kept, so a slow
// reader costs queries nothing. The lock of a queue is held for one push or one swap.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <variant>
#include <vector>

#include "proxy/admin/query_classes.hpp"
#include "proxy/session/telemetry.hpp"

namespace hyperdrive::proxy::admin {

using session::OriginEvent;
using session::QueryEvent;
using session::SessionEvent;
using Event = std::variant<QueryEvent, SessionEvent, OriginEvent>;

/// Events of one reader since it last looked.
struct EventBatch {
  std::vector<std::pair<std::uint64_t, Event>> events;  ///< with their sequence numbers
  std::uint64_t dropped = 0;                            ///< how many came behind them and were lost
};

class EventHub final : public session::EventSink {
 public:
  static constexpr std::size_t kQueue = 4096;

  class Reader {
   public:
    /// Takes what is there; never waits.
    EventBatch take();

   private:
    friend class EventHub;
    std::mutex mutex_;
    EventBatch batch_;
    std::function<void()> wake_;
  };

  bool listening() const override {
    return readers_count_.load(std::memory_order_relaxed) != 0 || classes_.wanted();
  }
  void publish(QueryEvent event) override {
    if (classes_.wanted()) classes_.add(event);
    publish(Event(std::move(event)));
  }
  void publish(SessionEvent event) override { publish(Event(std::move(event))); }
  void publish(OriginEvent event) override { publish(Event(std::move(event))); }

  QueryClasses& classes() { return classes_; }

  /// `wake` is called, from any thread and at most once per batch, when a reader's empty queue gets
  /// its first event. The reader's events end when the last pointer to it is gone.
  std::shared_ptr<Reader> open(std::function<void()> wake);

 private:
  void publish(const Event& event);

  QueryClasses classes_;
  std::atomic<std::size_t> readers_count_ = 0;
  std::mutex mutex_;
  std::vector<std::weak_ptr<Reader>> readers_;
  std::uint64_t sequence_ = 0;
};

}  // namespace hyperdrive::proxy::admin
