// The timers of one loop: a heap in which arming an armed timer again costs one store.
//
// A query timeout is armed and disarmed once per query and hardly ever fires. So a timer keeps its
// entry in the heap with the time at which it must be looked at, not the time at which it fires:
// a later deadline and disarm() leave the entry alone; when it comes up it is dropped or put
// back. Only an earlier deadline moves it. Loop thread only.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "proxy/net/loop.hpp"

namespace hyperdrive::proxy::net {

class TimerHeap {
 public:
  /// `now` must give the loop's cached time; it outlives the heap.
  explicit TimerHeap(const TimePoint& now) : now_(now) {}
  TimerHeap(const TimerHeap&) = delete;
  TimerHeap& operator=(const TimerHeap&) = delete;
  ~TimerHeap();

  std::unique_ptr<Timer> make(std::function<void()> on_fire);
  /// When the first entry must be looked at.
  std::optional<TimePoint> next() const;
  /// Fires what is due at the loop's present time.
  void run();

 private:
  class Entry;

  void place(std::size_t index, Entry* entry);
  void sift_up(std::size_t index);
  void sift_down(std::size_t index);
  void insert(Entry* entry);
  void remove(Entry* entry);

  const TimePoint& now_;
  std::vector<Entry*> heap_;  // by Entry::due_
};

}  // namespace hyperdrive::proxy::net
