// What a write tells those who share its epochs with other processes (the shared tier), and how
// whoever is about to send the write learns that they know.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

namespace hyperdrive::proxy::cache {

class Mark;

/// One for each intent, shared by the intent and the watcher. Any thread.
class Announcement {
 public:
  explicit Announcement(std::uint64_t id) : id_(id) {}
  std::uint64_t id() const { return id_; }

  /// Something announced is not known yet there.
  bool pending() const {
    const std::lock_guard lock(mutex_);
    return pending_ > 0;
  }
  /// Calls back once nothing is pending any more, from any thread; at once if so already.
  void when_known(std::function<void()> wake) {
    {
      const std::lock_guard lock(mutex_);
      if (pending_ > 0) {
        wakes_.push_back(std::move(wake));
        return;
      }
    }
    wake();
  }

  // --- for the watcher
  void begin() {
    const std::lock_guard lock(mutex_);
    ++pending_;
  }
  void known() {
    std::vector<std::function<void()>> wakes;
    {
      const std::lock_guard lock(mutex_);
      if (--pending_ == 0) wakes.swap(wakes_);
    }
    for (const auto& wake : wakes) wake();
  }

 private:
  const std::uint64_t id_;
  mutable std::mutex mutex_;
  int pending_ = 0;
  std::vector<std::function<void()>> wakes_;
};

/// Hears of every write of this process (WriteIntent). Any thread; must not block.
class WriteWatcher {
 public:
  virtual ~WriteWatcher() = default;
  /// Nothing of it has been forwarded yet. `about` may be null: the first marks of an intent.
  virtual std::shared_ptr<Announcement> announce(std::shared_ptr<Announcement> about,
                                                 std::span<Mark* const> marks) = 0;
  /// It is over; `committed`: perhaps.
  virtual void settle(const std::shared_ptr<Announcement>& about, std::span<Mark* const> marks,
                      bool committed) = 0;
};

}  // namespace hyperdrive::proxy::cache
