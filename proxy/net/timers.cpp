#include "proxy/net/timers.hpp"

#include <utility>

namespace hyperdrive::proxy::net {

class TimerHeap::Entry final : public Timer {
 public:
  Entry(TimerHeap* heap, std::function<void()> on_fire)
      : heap_(heap), on_fire_(std::move(on_fire)) {}

  ~Entry() override {
    if (alive_ != nullptr) *alive_ = false;
    if (index_ != kOutside) heap_->remove(this);
  }

  void arm(Milliseconds after) override {
    if (heap_ == nullptr) return;
    armed_ = true;
    fires_ = heap_->now_ + after;
    if (index_ == kOutside) {
      due_ = fires_;
      heap_->insert(this);
    } else if (fires_ < due_) {
      due_ = fires_;
      heap_->sift_up(index_);
    }
  }

  void disarm() override { armed_ = false; }
  bool armed() const override { return armed_; }

 private:
  friend class TimerHeap;
  static constexpr std::size_t kOutside = ~std::size_t{0};

  /// on_fire may destroy this timer: it runs from the stack.
  void fire() {
    armed_ = false;
    std::function<void()> on_fire = std::move(on_fire_);
    bool alive = true;
    alive_ = &alive;
    on_fire();
    if (!alive) return;
    alive_ = nullptr;
    on_fire_ = std::move(on_fire);
  }

  TimerHeap* heap_;  // null once the loop is gone
  std::function<void()> on_fire_;
  bool* alive_ = nullptr;
  TimePoint fires_{};  // the deadline
  TimePoint due_{};    // the place in the heap; never after fires_ while armed
  std::size_t index_ = kOutside;
  bool armed_ = false;
};

TimerHeap::~TimerHeap() {
  for (Entry* entry : heap_) {
    entry->index_ = Entry::kOutside;
    entry->heap_ = nullptr;
  }
}

std::unique_ptr<Timer> TimerHeap::make(std::function<void()> on_fire) {
  return std::make_unique<Entry>(this, std::move(on_fire));
}

std::optional<TimePoint> TimerHeap::next() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front()->due_;
}

void TimerHeap::run() {
  const TimePoint now = now_;
  // At most one round: a timer that arms itself with no delay waits for the next turn.
  for (std::size_t left = heap_.size(); left > 0 && !heap_.empty(); --left) {
    if (heap_.front()->due_ > now) return;
    Entry* entry = heap_.front();
    if (entry->armed_ && entry->fires_ > now) {
      entry->due_ = entry->fires_;
      sift_down(0);
      continue;
    }
    remove(entry);
    if (entry->armed_) entry->fire();
  }
}

void TimerHeap::place(std::size_t index, Entry* entry) {
  heap_[index] = entry;
  entry->index_ = index;
}

void TimerHeap::sift_up(std::size_t index) {
  Entry* entry = heap_[index];
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (heap_[parent]->due_ <= entry->due_) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, entry);
}

void TimerHeap::sift_down(std::size_t index) {
  Entry* entry = heap_[index];
  for (;;) {
    std::size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1]->due_ < heap_[child]->due_) ++child;
    if (entry->due_ <= heap_[child]->due_) break;
    place(index, heap_[child]);
    index = child;
  }
  place(index, entry);
}

void TimerHeap::insert(Entry* entry) {
  heap_.push_back(entry);
  entry->index_ = heap_.size() - 1;
  sift_up(entry->index_);
}

void TimerHeap::remove(Entry* entry) {
  const std::size_t index = entry->index_;
  Entry* last = heap_.back();
  heap_.pop_back();
  entry->index_ = Entry::kOutside;
  if (last == entry) return;
  place(index, last);
  sift_up(index);
  sift_down(last->index_);
}

}  // namespace hyperdrive::proxy::net
