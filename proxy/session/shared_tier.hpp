// The tier that a plane's cache shares with other proxies (cache_url), as both protocols use it:
// which one is in force, and what a gate does with it. Without a cache_url there is none, and every
// question here has the answer that changes nothing.
//
// A tier stands for one origin and one promise. A reload that brings another origin, or another
// user there, first ends the use of the tier (leave_origin), so that nothing of either is shared
// under the name of the other, and then begins a new one; the old one stays until this object goes,
// for the writes that are still under way there.
//
// Owned by the plane's cache service; attach() before the workers run. The rest is for any thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.hpp"
#include "proxy/cache/tier.hpp"
#include "proxy/net/loop.hpp"

namespace hyperdrive::proxy::session {

class SharedTier {
 public:
  using Verdict = cache::Tier::Verdict;
  using Marks = std::vector<cache::Mark*>;

  /// `everything_changed`: see Tier.
  SharedTier(cache::Cache& cache, std::function<void(cache::WriteIntent)> everything_changed);
  ~SharedTier();  ///< when the loop has ended, or on its thread
  SharedTier(const SharedTier&) = delete;
  SharedTier& operator=(const SharedTier&) = delete;

  void attach(net::Loop& loop, const core::Config& config);
  void start();
  void leave_origin();
  void reload(const core::Config& config, bool new_origin);

  /// Keys must mean the same to every proxy.
  bool configured() const { return tier() != nullptr; }
  /// A write waits until the others know of it.
  bool obeys_writes() const { return tier() != nullptr && tier()->obeys_writes(); }
  bool usable() const { return tier() != nullptr && tier()->usable(); }

  // --- a read
  enum class Course : std::uint8_t {
    kGoOn,    ///< own memory counts, with what the verdict brought
    kAsk,     ///< ask() first
    kOrigin,  ///< somebody writes: the answer comes from there and is not kept
  };
  /// `verdict`: null until it has been asked. `found`: own memory has an answer.
  Course course(const Verdict* verdict, bool found) const;
  /// `then` comes on the loop of whoever asks. `key`: empty if no answer is wanted.
  void ask(net::Loop& asker, std::string key, Marks marks, std::function<void(Verdict)> then) const;
  /// The answer that came with a verdict, as own memory would have found it.
  cache::Found take(Verdict& verdict, cache::Bytes key, std::span<cache::Mark* const> marks,
                    const cache::Lifetime& lifetime, cache::TimePoint now) const;
  /// Gives the others what has just been stored. `epochs`: of the verdict before the query was
  /// sent; empty: there was none.
  void share(const std::string& key, cache::Stamp stamp, std::string_view epochs,
             std::chrono::milliseconds life) const;

  // --- a write
  /// `then` comes on the loop of whoever asks, once the others know of all that was announced.
  static void when_known(net::Loop& asker, cache::Announcement& known, std::function<void()> then);

  // --- control
  /// Of own memory, and of the tier. Waits until Redis says so, two seconds at most; where that
  /// fails, warning() tells.
  cache::Purged purge(const Marks& marks) const;
  /// Why it is not used, for people; empty while it is, or where there is none.
  std::string warning() const;

 private:
  cache::Tier* tier() const { return tier_.load(std::memory_order_acquire); }
  cache::Tier& begin(const core::Config& config);

  cache::Cache& cache_;
  const std::function<void(cache::WriteIntent)> everything_changed_;
  net::Loop* loop_ = nullptr;
  std::atomic<cache::Tier*> tier_{nullptr};  // the newest of tiers_
  std::mutex mutex_;                         // guards tiers_ and promise_
  std::vector<std::unique_ptr<cache::Tier>> tiers_;
  std::string promise_;
};

}  // namespace hyperdrive::proxy::session
