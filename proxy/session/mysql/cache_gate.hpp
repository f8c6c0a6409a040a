// The cache's place in a MySQL session: answers commands from memory, captures the answers of
// others, tells the epochs of writes (gate.hpp says when it is called).
//
// One per worker, on its thread; Cache and CacheKeeper are shared by all workers. In the order of a
// cached read's life:
//
//   offer ── not for the cache ───────────────► forward; will_run labels it with the reason
//     ├── found, fresh or stale ──────────────► answered (stale: the next to ask refreshes it)
//     ├── somebody else is asking just now ───► wait for that answer, a bounded time
//     └── nobody is ──────────────────────────► lead: forward, capture, keep, wake the followers
#pragma once

#include <boost/unordered/unordered_flat_set.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/cache/cache.hpp"
#include "proxy/session/cache_visits.hpp"
#include "proxy/session/mysql/cache_answer.hpp"
#include "proxy/session/mysql/cache_keeper.hpp"
#include "proxy/session/mysql/cache_plan.hpp"
#include "proxy/session/mysql/client.hpp"
#include "proxy/session/mysql/gate.hpp"
#include "proxy/session/mysql/worker.hpp"

namespace hyperdrive::proxy::session::mysql {

class CacheTap;
struct PendingWrites;

class CacheGate final : public Gate {
 public:
  /// How long a follower waits for somebody else's answer, and a first query for the catalog.
  static constexpr std::chrono::milliseconds kFollow{1'000};
  static constexpr std::chrono::milliseconds kAwaitCatalog{2'000};
  static constexpr std::chrono::milliseconds kAwaitCatalogUncached{250};

  CacheGate(Worker& worker, cache::Cache& cache, CacheKeeper& keeper, SharedTier& tier);

  bool judges_plain_texts() override;
  Offer offer(Client& client, const Question& question) override;
  bool will_run(Client& client, Origin& origin, TextInfo& text, const StateRef& state) override;
  void answered(Origin& origin, const Ending& ending) override;
  void orphaned(Origin& origin) override;
  void gone(Client& client) override;

 private:
  friend class CacheTap;

  struct Label {
    sql::CacheStatus status = sql::CacheStatus::kUncacheable;
    std::string reason;
  };
  struct Visit : CacheVisit {
    std::optional<Label> label;   ///< of the command that is being forwarded
    std::weak_ptr<CacheTap> tap;  ///< likewise
    bool refreshes = false;       ///< it is this command's turn to refresh a stale answer
    bool is_busy() const { return label.has_value(); }
  };

  const Plan& plan(TextInfo& text, const Asker& asker);
  std::optional<Label> refusal(const Question& question, const Asker& asker, const Plan& plan);
  Offer look_up(Client& client, const Question& question, const Asker& asker, const Plan& plan);
  void make_key(Client& client, const Question& question, const Asker& asker);
  Offer answer(Client& client, const Question& question, const cache::Found& found);
  Offer missed(Client& client, const Plan& plan, cache::Leader leader);
  // cache_tier.cpp: the tier shared with other proxies
  std::optional<Offer> consult(Client& client, const Plan& plan, cache::Found& found);
  Offer ask_tier(Client& client, const Plan& plan, bool wants_answer);
  bool announced(Client& client, Origin& origin);
  void take_back_announcement(Client& client);
  void question_ended(Client& client);
  Offer await_catalog(Client& client, std::chrono::milliseconds time);
  Offer offer_uncached(Client& client);
  bool is_sampled();
  Offer verify(Client& client, const Question& question, const cache::Found& found);
  void announce_difference(const std::string& text, const cache::Entry& entry);
  bool is_turn_to_refresh(Client& client, const cache::Found& found);
  void landed(CacheTap& tap, bool clean);
  Label classify(Client& client, const Asker& asker, const Plan& plan, const TextInfo& text);
  void run_uncached(Origin& origin, TextInfo& text, const StateRef& state);
  bool mark(Origin& origin, TextInfo& text, const StateRef& state);
  void mark_everything(Origin& origin);
  void mark_writes(Origin& origin, const Plan& plan);
  static void mark_state(Origin& origin, const Plan& plan);
  void widen_writes(PendingWrites& writes);
  std::string stale_reason(const cache::Found& found);

  Worker& worker_;
  cache::Cache& cache_;
  CacheKeeper& keeper_;
  SharedTier& tier_;
  Planner planner_;
  CacheVisits<Client, Visit> visits_;
  boost::unordered_flat_set<std::uint64_t> to_refresh_;  // hashes of keys found stale here
  std::uint64_t dice_ = 0x9e3779b97f4a7c15;
  std::string key_, scratch_;
};

}  // namespace hyperdrive::proxy::session::mysql
