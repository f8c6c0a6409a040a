// Queries by class, for /v1/queries and `hyperdrive top`: a class is a statement's text with its
// literals taken out.
//
// Collected only while somebody looks: from the first top() until kPatience after the last one, so
// that queries cost nothing more otherwise. Any thread; one lock, taken once a query and a look.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "proxy/admin/backend.hpp"
#include "proxy/session/telemetry.hpp"

namespace hyperdrive::proxy::admin {

class QueryClasses {
 public:
  static constexpr std::chrono::seconds kPatience{60};
  static constexpr std::size_t kMost = 1000;  ///< the rest is counted as one class, "(others)"

  bool wanted() const { return wanted_.load(std::memory_order_relaxed); }
  void add(const session::QueryEvent& event);

  struct Top {
    std::vector<QueryClass> classes;  ///< those that took the most time first
    Clock::time_point since;          ///< the beginning of the collection
  };
  /// Starts collecting, or keeps it going.
  Top top(std::size_t limit);

 private:
  using Steady = std::chrono::steady_clock;
  struct Entry {
    QueryClass numbers;  // without latency
    session::Histogram latency;
  };

  Entry& entry_for(const std::string& sql);
  void stop();

  std::atomic<bool> wanted_ = false;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Entry>> entries_;
  Clock::time_point since_;
  Steady::time_point until_;
  std::string key_;  // a buffer, kept for its size
};

}  // namespace hyperdrive::proxy::admin
