// The tier of the cache that several proxies share, in Redis or Valkey (cache_url).
//
// It holds answers, and the epochs that decide for all proxies together whether an answer still
// counts (tier_protocol.hpp). With invalidation = writes or replication:
//   - a write is announced there before it is forwarded (WriteWatcher; Announcement::pending) and
//     settled when it is over; in between nobody keeps or believes an answer that depends on it;
//   - a read asks first (check): what other proxies wrote becomes an event of this process's own
//     epochs, so that the store in memory needs no rule of its own.
// With invalidation = none it is only a second store.
//
// While Redis is not there the proxy goes on with its own memory and what it sees itself. Whatever
// was missed in a gap is made good before the tier counts again: this proxy's writes, by a new
// epoch of the whole database; the others' writes, by distrusting all that is in memory here.
//
// Lives on one loop (a worker's); members are for any thread unless they say otherwise. Callbacks
// come on the tier's loop.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/base/secret.hpp"
#include "proxy/cache/cache.hpp"
#include "proxy/cache/redis_connection.hpp"
#include "proxy/net/loop.hpp"

namespace hyperdrive::proxy::cache {

struct TierOptions {
  std::string host;
  std::uint16_t port = 6379;
  std::string user;
  core::Secret password;
  std::string database;  ///< SELECT's argument; empty: Redis' default
  std::string origin;    ///< who shares: scheme, host, port, database
  std::string promise;   ///< … and the mode of invalidation
  bool obeys_writes = false;

  /// Of a checked cache_url.
  static TierOptions of(const core::Config& config);
};

class Tier final : public WriteWatcher {
 public:
  /// Waits for Redis this long in a read; then the origin answers.
  static constexpr std::chrono::milliseconds kPatience{100};

  /// `everything_changed`: another proxy changed anything, perhaps the schema. The intent keeps the
  /// whole database unstored until whoever takes it has looked.
  Tier(net::Loop& loop, Cache& cache, TierOptions options,
       std::function<void(WriteIntent)> everything_changed);
  ~Tier() override;  ///< on the loop's thread, or when the loop has ended

  /// Before the loop runs, or on its thread.
  void start();
  /// Another tier has taken its place: it is asked nothing any more, and ends its connection when
  /// the writes that it has announced are over.
  void retire();

  bool usable() const { return usable_.load(std::memory_order_acquire); }
  bool obeys_writes() const { return options_.obeys_writes; }

  struct Verdict {
    enum class State : std::uint8_t {
      kGone,     ///< no tier now: own memory counts
      kOpen,     ///< somebody writes: neither believe nor keep
      kCurrent,  ///< own memory counts, other proxies' writes included
    } state = State::kGone;
    std::string epochs;  ///< to be kept with an answer whose query is sent from now on
    std::string answer;  ///< encoded; empty: none there
    std::chrono::milliseconds left{0};  ///< of that answer's life
    Stamp stamp = 0;                    ///< our own clock when the question was asked
    const Tier* by = nullptr;           ///< whose it is
  };
  /// `key`: empty if no answer is wanted.
  void check(std::string key, std::vector<Mark*> marks, std::function<void(Verdict)> done);
  /// The answer in a verdict as an entry, kept in memory where it may be; nothing if it is not what
  /// was asked for, or this process knows of a write that is under way.
  EntryRef adopt(const Verdict& verdict, Bytes key, std::span<Mark* const> marks, TimePoint now);
  /// `epochs`: of the verdict before the query was sent.
  void keep(const Entry& entry, std::string_view epochs, std::chrono::milliseconds life);
  /// Answers that depend on one of these end for all proxies. `done`: whether Redis has said so;
  /// what it was not told is made good when it is back, before the tier counts again.
  void purge(std::vector<Mark*> marks, std::function<void(bool)> done);

  std::shared_ptr<Announcement> announce(std::shared_ptr<Announcement> about,
                                         std::span<Mark* const> marks) override;
  void settle(const std::shared_ptr<Announcement>& about, std::span<Mark* const> marks,
              bool committed) override;

  /// Why the tier is not used, for people; empty while it is.
  std::string warning() const;

 private:
  using Marks = std::vector<Mark*>;

  void on_loop(std::function<void()> task);
  void connect();
  void connected(net::Loop::ConnectResult result);
  void log_in();
  void begin();
  void became_usable();
  void lost(const std::string& why);
  void command(std::span<const std::string_view> arguments, RedisConnection::OnReply on_reply);
  void step(std::span<const std::string_view> arguments);
  void set_epochs(std::span<Mark* const> marks, RedisConnection::OnReply on_reply);
  void run_script(std::size_t script, std::vector<std::string> keys,
                  std::initializer_list<std::string_view> arguments,
                  RedisConnection::OnReply on_reply);
  std::vector<std::string> pairs(std::span<Mark* const> marks) const;
  void step_done(const RedisReply* reply);
  void finish_step();
  bool refused(const RedisReply* reply);
  void checked(const RedisReply& reply, const Marks& marks, Verdict& verdict);
  bool mirror(const Marks& marks, std::string_view epochs);
  void replaced(const Marks& marks, std::string_view old, std::string_view epoch);
  void warn(std::string text);
  bool done() const;
  void announce_now(const std::shared_ptr<Announcement>& about, Marks marks);
  void settle_now(std::uint64_t id, const Marks& marks, bool committed);
  void renew();
  void watch();
  std::string fresh_epoch();
  std::string intent_name(std::uint64_t id) const;

  net::Loop& loop_;
  Cache& cache_;
  const TierOptions options_;
  const std::string space_;
  const std::string process_;  // random: epochs and intents of this process
  std::function<void(WriteIntent)> everything_changed_;
  std::atomic<bool> usable_{false};
  std::atomic<std::uint64_t> next_intent_{1};
  mutable std::mutex mutex_;  // guards warning_
  std::string warning_ = "The shared cache has not been reached yet.";

  // The loop's thread only.
  std::unique_ptr<net::Loop::Pending> connecting_;
  std::unique_ptr<RedisConnection> connection_;
  std::unique_ptr<net::Timer> retry_timer_, renew_timer_, watch_timer_;
  std::chrono::milliseconds retry_{0};
  std::vector<std::string> scripts_;  // their SHA-1 names at Redis
  std::size_t steps_left_ = 0;        // until the tier may be used
  std::uint64_t next_epoch_ = 1;
  bool retired_ = false;
  std::uint64_t sent_ = 0, answered_ = 0, answered_before_ = 0;
  std::unordered_map<const Mark*, std::string> seen_;
  std::unordered_map<std::uint64_t, Marks> live_;      // intents that are not settled
  std::vector<std::pair<std::uint64_t, Marks>> late_;  // settled while Redis was away
  std::unordered_set<Mark*> unpurged_;                 // … and purges
  std::shared_ptr<Tier*> self_;                        // for tasks that are still under way
  std::atomic<std::thread::id> thread_{};
};

}  // namespace hyperdrive::proxy::cache
